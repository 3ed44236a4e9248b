// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Note [Bounds], from outside: clients that say nothing, too much, or too slowly, while others are answered.
#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/tcp.h"

namespace vineyard::http {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A connection, which blocks.
class Peer {
 public:
  explicit Peer(uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  void Say(const std::string& text) const {
    ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Until the other side closes; what it said.
  std::string HearAll() const {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd_.get(), buffer, sizeof buffer, 0)) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }
  // Until that much has come.
  std::string Hear(size_t bytes) const {
    std::string all(bytes, '\0');
    const ssize_t n = ::recv(fd_.get(), all.data(), bytes, MSG_WAITALL);
    all.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return all;
  }
  [[nodiscard]] bool IsClosed() const {
    char byte = 0;
    return ::recv(fd_.get(), &byte, 1, MSG_PEEK) <= 0;
  }

 private:
  os::UniqueFd fd_;
};

const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kGetAndClose = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

class ServerTest : public ::testing::Test {
 protected:
  void Start(Server::Handler handler, const ServerLimits& limits = {}) {
    ASSERT_OK_AND_ASSIGN(os::UniqueFd listener, os::ListenTcp(*os::ParseTcpAddress("127.0.0.1:0")));
    port_ = os::BoundTcpAddress(listener)->port;
    ASSERT_OK_AND_ASSIGN(server_, Server::Make(std::move(listener), std::move(handler), limits));
    thread_ = std::thread([this] { EXPECT_OK(server_->Run()); });
  }
  void StartSayingHello(const ServerLimits& limits = {}) {
    Start([](const Request&, Server::Ticket) { return TextAnswer(200, "hello"); }, limits);
  }
  void TearDown() override {
    if (server_) server_->Stop();
    if (thread_.joinable()) thread_.join();
  }
  // A whole exchange; the answer.
  std::string Ask(const std::string& what = kGetAndClose) const {
    const Peer peer(port_);
    peer.Say(what);
    return peer.HearAll();
  }

  uint16_t port_ = 0;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(ServerTest, AnswersOneAfterTheOtherOnOneConnection) {
  StartSayingHello();
  const Peer peer(port_);
  peer.Say(kGet + kGet + "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + kGetAndClose);
  const std::string all = peer.HearAll();
  size_t heads = 0;
  size_t bodies = 0;
  for (size_t at = 0; (at = all.find("HTTP/1.1 200 OK", at)) != std::string::npos; ++at) ++heads;
  for (size_t at = 0; (at = all.find("\r\n\r\nhello", at)) != std::string::npos; ++at) ++bodies;
  EXPECT_EQ(heads, 4U);
  EXPECT_EQ(bodies, 3U) << "a HEAD has none";
}

TEST_F(ServerTest, AnAnswerMayComeLaterFromAnotherThread) {
  std::atomic<Server::Ticket> asked = 0;
  Start([&](const Request&, Server::Ticket ticket) {
    asked = ticket;
    return std::optional<Answer>();
  });
  std::thread other([&] {
    while (asked == 0) std::this_thread::yield();
    server_->Deliver(asked + 100, TextAnswer(200, "for nobody"));
    server_->Deliver(asked, TextAnswer(200, "later"));
  });
  EXPECT_THAT(Ask(), HasSubstr("\r\n\r\nlater"));
  other.join();
}

TEST_F(ServerTest, WhatIsNoRequestIsRefusedAndTheConnectionEnds) {
  StartSayingHello();
  EXPECT_THAT(Ask("nonsense\r\n\r\n" + kGet), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask(std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8) + std::string(kMaxHead, 'x')),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, AHeadIsAtMost16KiB) {
  StartSayingHello();
  const std::string begin = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: ";
  const std::string end = "\r\n\r\n";
  const size_t room = kMaxHead - begin.size() - end.size();
  EXPECT_THAT(Ask(begin + std::string(room, 'a') + end), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask(begin + std::string(room + 1, 'a') + end), StartsWith("HTTP/1.1 431 "));
  // The refusal arrives although more is on its way than anybody reads.
  EXPECT_THAT(Ask(begin + std::string(100'000, 'a')), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, SilentConnectionsMakeRoomForWhoeverAsks) {
  StartSayingHello({.connections = 4});
  std::vector<std::unique_ptr<Peer>> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<Peer>(port_));
  for (int i = 0; i < 10; ++i) EXPECT_THAT(Ask(), HasSubstr("hello"));
  EXPECT_TRUE(silent.front()->IsClosed());
}

TEST_F(ServerTest, HalfARequestHasItsTimeAndNoMore) {
  StartSayingHello({.head = milliseconds(50)});
  const Peer slow(port_);
  slow.Say("GET / HT");
  EXPECT_THAT(slow.HearAll(), StartsWith("HTTP/1.1 408 "));
  const Peer silent(port_);
  EXPECT_EQ(silent.HearAll(), "");
}

TEST_F(ServerTest, SoHasAPauseBetweenTwoRequests) {
  StartSayingHello({.pause = milliseconds(50)});
  const Peer peer(port_);
  peer.Say(kGet);
  EXPECT_THAT(peer.HearAll(), HasSubstr("hello"));
}

TEST_F(ServerTest, AConnectionIsGoodForSoManyRequests) {
  StartSayingHello({.requests_each = 3});
  const Peer peer(port_);
  peer.Say(kGet + kGet + kGet + kGet);
  const std::string all = peer.HearAll();
  size_t heads = 0;
  for (size_t at = 0; (at = all.find("HTTP/1.1 200 OK", at)) != std::string::npos; ++at) ++heads;
  EXPECT_EQ(heads, 3U);
}

TEST_F(ServerTest, WhoTakesNoAnswerMakesRoomForOthersAndHasItsTime) {
  const auto large = std::make_shared<const std::string>(size_t{8} << 20, 'x');
  Start([&](const Request&, Server::Ticket) { return Answer{.body = large}; },
        {.bytes_under_way = size_t{20} << 20});
  std::vector<std::unique_ptr<Peer>> takers;
  for (int i = 0; i < 6; ++i) {
    takers.push_back(std::make_unique<Peer>(port_, 4096));
    takers.back()->Say(kGet);
    EXPECT_THAT(takers.back()->Hear(15), StartsWith("HTTP/1.1 200 OK"));
  }
  // Three fit: the first of the six are cut off.
  EXPECT_LT(takers.front()->HearAll().size(), large->size());
  EXPECT_GE(Ask().size(), large->size());
}

}  // namespace
}  // namespace vineyard::http
