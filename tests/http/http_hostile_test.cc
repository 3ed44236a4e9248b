// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Whoever reaches the port may say anything. The store does not notice, and others are answered.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "http/web_client.h"

namespace vineyard {
namespace {

using ::testing::AnyOf;
using testing::Eventually;
using testing::HoldsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::PutPattern;
using testing::WebConnection;
using testing::WebDaemon;

uint64_t PrivateKiB(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8));
  }
  return 0;
}

// While a test does its worst somebody puts, gets and deletes; none of it may fail.
class HttpHostile : public ::testing::Test {
 protected:
  HttpHostile() : victim_([this] { Work(); }) {
    daemon_.Await("/readyz", 200);
    web_ = daemon_.web();
    engine_ = daemon_.engine();
  }
  ~HttpHostile() override {
    const uint64_t seen = rounds_;
    EXPECT_TRUE(Eventually([&] { return rounds_ > seen || failures_ > 0; })) << "the victim hangs";
    done_ = true;
    victim_.join();
    EXPECT_EQ(failures_, 0);
    EXPECT_EQ(daemon_.engine(), engine_) << "another engine serves";
    daemon_.Await("/readyz", 200);
  }

  void Work() {
    Client client = daemon_.Connect();
    for (uint64_t i = 0; !done_; ++i) {
      const size_t size = i % 10 == 0 ? kLarge : kSmall;
      const auto id = PutPattern(client, i, size);
      const bool good =
          id.ok() && HoldsPattern(client.Get(*id), i, size) && client.Delete({*id}).ok();
      if (!good) ++failures_;
      ++rounds_;
    }
  }

  std::string Host() const { return "Host: localhost:" + std::to_string(daemon_.port()) + "\r\n"; }
  // The status; 0: closed without one.
  int StatusOf(const std::string& bytes) const {
    const WebConnection connection(daemon_.port());
    connection.Say(bytes);
    const std::string all = connection.HearAll();
    return all.starts_with("HTTP/1.1 ") ? std::stoi(all.substr(9, 3)) : 0;
  }

  WebDaemon daemon_;
  std::atomic<bool> done_ = false;
  std::atomic<uint64_t> rounds_ = 0;
  std::atomic<int> failures_ = 0;
  pid_t web_ = 0;
  pid_t engine_ = 0;
  std::thread victim_;
};

TEST_F(HttpHostile, MalformedAndOversizedRequestsAreRefused) {
  EXPECT_EQ(StatusOf("nonsense\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(std::string(100'000, '\0')), 431);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n" + std::string(1'000'000, 'a')), 431);
  EXPECT_EQ(StatusOf("GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\n" + Host() + "\r\n"), 414);
  EXPECT_EQ(StatusOf("POST /api/v1/state HTTP/1.1\r\n" + Host() + "Content-Length: 3\r\n\r\nabc"),
            405);
  EXPECT_EQ(StatusOf("DELETE / HTTP/1.1\r\n" + Host() + "\r\n"), 405);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n" + Host() + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            413);
  EXPECT_EQ(StatusOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(daemon_.web(), web_);
}

TEST_F(HttpHostile, APathIsNeverAFile) {
  for (const char* path :
       {"/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd", "/./", "/index.html", "/page/../page/index.html", "/healthz/",
        "/api/v1/../../healthz", "/api", "/api/v1/", "/%00", "/\\..\\..\\etc\\passwd"}) {
    EXPECT_EQ(daemon_.Get(path).status, 404) << path;
  }
}

TEST_F(HttpHostile, RequestsOfOtherSitesAreRefused) {
  const std::string port = std::to_string(daemon_.port());
  for (const char* path : {"/", "/metrics", "/api/v1/state", "/healthz"}) {
    EXPECT_EQ(daemon_.Get(path, "Host: evil.example:" + port + "\r\n").status, 421) << path;
    EXPECT_EQ(daemon_.Get(path, "Host: evil.example\r\n").status, 421) << path;
    EXPECT_EQ(daemon_.Get(path, "Origin: http://evil.example\r\n").status, 403) << path;
    EXPECT_EQ(daemon_.Get(path, "Origin: null\r\n").status, 403) << path;
    EXPECT_EQ(daemon_.Get(path, "Sec-Fetch-Site: cross-site\r\n").status, 403) << path;
    EXPECT_THAT(
        daemon_.Get(path, "Host: localhost:" + port + "\r\nSec-Fetch-Site: same-origin\r\n").status,
        200)
        << path;
  }
}

TEST_F(HttpHostile, AThousandConnectionsKeepNobodyOut) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<std::unique_ptr<WebConnection>> silent;
  for (int i = 0; i < 1000; ++i) {
    silent.push_back(std::make_unique<WebConnection>(daemon_.port()));
    if (i % 2 == 0) silent.back()->Say("GET /metrics HTTP/1.1\r\nA: b");
    if (i % 100 == 0) {
      EXPECT_EQ(daemon_.Get("/api/v1/state").status, 200) << i;
    }
  }
  EXPECT_EQ(daemon_.Get("/metrics").status, 200);
  EXPECT_LT(testing::OpenDescriptors(web_), 100U);
  EXPECT_EQ(daemon_.web(), web_);
}

TEST_F(HttpHostile, WhoNeverTakesHisAnswersCostsLittle) {
  const uint64_t before = PrivateKiB(web_);
  std::vector<std::unique_ptr<WebConnection>> greedy;
  for (int i = 0; i < 60; ++i) {
    greedy.push_back(std::make_unique<WebConnection>(daemon_.port()));
    std::string many;
    for (int k = 0; k < 300; ++k) many += "GET /metrics HTTP/1.1\r\n" + Host() + "\r\n";
    greedy.back()->Say(many);
  }
  EXPECT_EQ(daemon_.Get("/api/v1/state").status, 200);
  EXPECT_LT(PrivateKiB(web_), before + 64 * 1024);
  EXPECT_EQ(daemon_.web(), web_);
}

TEST_F(HttpHostile, QuestionsByTheHundredAreAnsweredOrPutOff) {
  std::vector<std::unique_ptr<WebConnection>> askers;
  for (int i = 0; i < 60; ++i) {
    askers.push_back(std::make_unique<WebConnection>(daemon_.port()));
    const std::string path = i % 3 == 0   ? "/api/v1/why?id=o0000000000000001"
                             : i % 3 == 1 ? "/api/v1/objects"
                                          : "/api/v1/clients";
    askers.back()->Say("GET " + path + " HTTP/1.1\r\n" + Host() + "Connection: close\r\n\r\n");
  }
  for (const auto& asker : askers) {
    const std::string answer = asker->HearAll();
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 ")) << answer;
    EXPECT_THAT(std::stoi(answer.substr(9, 3)), AnyOf(200, 404, 503, 504)) << answer;
  }
}

}  // namespace
}  // namespace vineyard
