// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an instance tells over HTTP, and what becomes of that when processes end.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "http/web_client.h"
#include "os/process.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Eventually;
using ::testing::HasSubstr;
using testing::kLarge;
using testing::kSmall;
using ::testing::Not;
using testing::PutPattern;
using testing::TestDaemon;
using testing::WebAnswer;
using testing::WebDaemon;

// Lines of /proc/net/tcp and tcp6 that tell of a listening socket of the process.
int ListeningSockets(pid_t pid) {
  int count = 0;
  for (const char* table : {"tcp", "tcp6"}) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/net/" + table);
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      std::string word;
      std::vector<std::string> columns;
      while (words >> word) columns.push_back(word);
      if (columns.size() < 10 || columns[3] != "0A") continue;
      std::error_code error;
      for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
        const fs::path target = fs::read_symlink(fd.path(), error);
        if (target == "socket:[" + columns[9] + "]") ++count;
      }
    }
  }
  return count;
}

std::string IdOf(const ObjectId& id) { return id.ToString(); }

TEST(Http, NothingListensUnlessItIsAskedFor) {
  TestDaemon silent;
  EXPECT_EQ(ListeningSockets(silent.keeper()), 0);
  EXPECT_EQ(ListeningSockets(silent.engine()), 0);
  TestDaemon old({.flags = {"--metrics", "--prometheus"}});
  EXPECT_EQ(ListeningSockets(old.keeper()), 0);
  EXPECT_THAT(old.log(), HasSubstr("--http"));
  EXPECT_EQ(testing::WebProcessOf(silent.keeper()), 0);

  WebDaemon asked;
  EXPECT_EQ(ListeningSockets(asked.keeper()), 1);
  EXPECT_EQ(ListeningSockets(asked.engine()), 0);
}

TEST(Http, TellsTheStateOfTheInstance) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "small"));
  ASSERT_OK(PutPattern(client, 2, kLarge, "large"));
  EXPECT_EQ(daemon.Get("/healthz").status, 200);
  EXPECT_EQ(daemon.Await("/readyz", 200).body, "ok\n");
  json state;
  ASSERT_TRUE(Eventually([&] {
    state = daemon.Await("/api/v1/state", 200).json();
    return state["volumes"][0]["objects"] == 2;
  })) << state.dump();
  ASSERT_OK_AND_ASSIGN(const InstanceStatus status, client.GetStatus());
  EXPECT_EQ(state["instance"]["uuid"], status.instance_uuid);
  EXPECT_EQ(state["instance"]["socket"], daemon.socket());
  EXPECT_EQ(state["memory"]["limit"], uint64_t{256} << 20);
  const json& volume = state["volumes"][0];
  EXPECT_EQ(volume["name"], "default");
  EXPECT_EQ(volume["names"], 2);
  EXPECT_GE(volume["memory"]["sealed"], kLarge);
  uint64_t held = 0;
  for (const auto& [kind, bytes] : volume["memory"].items()) held += bytes.get<uint64_t>();
  EXPECT_EQ(state["memory"]["held"], held) << "every page is in one state";
}

TEST(Http, ListsObjectsAndSaysWhenThereIsNothingNew) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client, 1, kSmall, "first"));
  json list;
  ASSERT_TRUE(Eventually([&] {
    list = daemon.Await("/api/v1/objects", 200).json();
    return list["rows"]["id"] == json({IdOf(id)});
  })) << list.dump();
  EXPECT_EQ(list["rows"]["name"], json({"first"}));
  EXPECT_EQ(list["rows"]["bytes"], json({kSmall}));
  EXPECT_EQ(list["creators"][list["rows"]["creator"][0].get<size_t>()]["pid"], ::getpid());
  const std::string since =
      "/api/v1/objects?since=" + std::to_string(list["version"].get<uint64_t>());
  EXPECT_EQ(daemon.Get(since).status, 304);
  ASSERT_OK(PutPattern(client, 2, kSmall, "second"));
  EXPECT_EQ(daemon.Await(since, 200).json()["rows"]["id"].size(), 2U);
  EXPECT_EQ(daemon.Get("/api/v1/objects?since=x").status, 400);
}

TEST(Http, SaysOfEachObjectWhoMadeItAndWhereItLies) {
  const testing::TempFolder disk;
  WebDaemon daemon({"--spill_path=" + disk.path()});
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId away, PutPattern(client, 1, kLarge));
  ASSERT_OK_AND_ASSIGN(const ObjectId here, PutPattern(client, 2, kLarge));
  ASSERT_OK_AND_ASSIGN(const ObjectId whole,
                       client.Put(ObjectBuilder("both").AddMember("a", away).AddMember("b", here)));
  ASSERT_OK_AND_ASSIGN(const ObjectId alone, PutPattern(client, 3, kLarge));
  ASSERT_OK_AND_ASSIGN(const ObjectId small, PutPattern(client, 4, kSmall));
  json list;
  const auto states = [&] {
    list = daemon.Await("/api/v1/objects", 200).json();
    std::map<std::string, std::string> found;
    for (size_t i = 0; i < list["rows"]["id"].size(); ++i) {
      found[list["rows"]["id"][i]] = list["states"][list["rows"]["state"][i].get<size_t>()];
    }
    return found;
  };
  using States = std::map<std::string, std::string>;
  EXPECT_TRUE(Eventually([&] {
    return states() ==
           States{{IdOf(whole), "memory"}, {IdOf(alone), "memory"}, {IdOf(small), "memory"}};
  })) << list.dump();
  EXPECT_EQ(list["creators"][0]["pid"], ::getpid());
  EXPECT_FALSE(list["creators"][0]["program"].get<std::string>().empty());
  ASSERT_OK(client.Evict(std::vector{away, alone}));
  EXPECT_TRUE(Eventually([&] {
    return states() ==
           States{{IdOf(whole), "mixed"}, {IdOf(alone), "disk"}, {IdOf(small), "memory"}};
  })) << list.dump();
}

TEST(Http, ExplainsOneObject) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client, 1, kLarge, "named"));
  ASSERT_OK_AND_ASSIGN(const Object held, client.Get(id));
  daemon.Await("/readyz", 200);
  const json why = daemon.Await("/api/v1/why?volume=default&id=" + IdOf(id), 200).json();
  EXPECT_EQ(why["id"], IdOf(id));
  EXPECT_EQ(why["names"], json({"named"}));
  EXPECT_EQ(why["held_by"][0]["pid"], ::getpid());
  EXPECT_GE(why["held_by"][0]["mapped_bytes"], kLarge);
  EXPECT_FALSE(why["evictable"]);
  EXPECT_THAT(why["reasons"].dump(), HasSubstr("named"));
  EXPECT_EQ(daemon.Get("/api/v1/why?volume=default&id=nonsense").status, 400);
  EXPECT_EQ(daemon.Get("/api/v1/why?volume=absent&id=" + IdOf(id)).status, 404);
  EXPECT_EQ(daemon.Get("/api/v1/why?volume=default&id=o00000000000fffff").status, 404);
}

TEST(Http, ListsClientsAndWhatWaits) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  const testing::Child waiter([&] {
    Client other = daemon.Connect();
    return other.Get("nobody puts this", {.timeout = Timeout(300'000), .wait = true}).ok() ? 1 : 0;
  });
  daemon.Await("/readyz", 200);
  json waits;
  ASSERT_TRUE(Eventually([&] {
    waits = daemon.Await("/api/v1/waits", 200).json()["waits"];
    return waits.size() == 1;
  })) << waits.dump();
  EXPECT_EQ(waits[0]["kind"], "name");
  EXPECT_EQ(waits[0]["what"], "nobody puts this");
  EXPECT_EQ(waits[0]["pid"], waiter.pid());
  json clients;
  EXPECT_TRUE(Eventually([&] {
    clients = daemon.Await("/api/v1/clients", 200).json()["clients"];
    return std::ranges::any_of(
        clients, [&](const json& c) { return c["pid"] == waiter.pid() && c["waiting"] == 1; });
  })) << clients.dump();
  const auto own = testing::WebProcessOf(daemon.keeper());
  EXPECT_TRUE(std::ranges::any_of(clients, [&](const json& c) {
    return c["pid"] == own && c["program"] == "vineyardd-http";
  })) << clients.dump();
  EXPECT_TRUE(Eventually([&] {
    return daemon.Get("/metrics").body.find("vineyard_waiting_requests{volume=\"default\"} 1\n") !=
           std::string::npos;
  }));
}

TEST(Http, TextOfOthersIsText) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  const std::string nasty = "</script><script>alert(1)</script>\"'\\ \x01 &amp;";
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client, 1, kSmall, nasty));
  WebAnswer answer;
  ASSERT_TRUE(Eventually([&] {
    answer = daemon.Await("/api/v1/objects", 200);
    return answer.json()["rows"]["name"] == json({nasty});
  })) << answer.body;
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(answer.head, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_EQ(daemon.Await("/api/v1/why?id=" + IdOf(id), 200).json()["names"], json({nasty}));
}

TEST(Http, ThePageIsServedWithAPolicyThatLetsNothingElseIn) {
  WebDaemon daemon;
  const WebAnswer page = daemon.Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html"));
  EXPECT_THAT(page.head,
              HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self';"));
  EXPECT_THAT(page.head, Not(HasSubstr("Access-Control")));
}

// ---- who may ask

class Token : public ::testing::Test {
 protected:
  Token() { std::ofstream(folder_.path() + "/token") << "0123456789abcdef0123456789abcdef\n"; }
  const testing::TempFolder folder_;
  const std::string flag_ = "--http_token_file=" + folder_.path() + "/token";
};

TEST_F(Token, IsNeededForAllThatTheInstanceHolds) {
  WebDaemon daemon({flag_});
  for (const char* open : {"/", "/healthz", "/readyz"}) daemon.Await(open, 200);
  for (const char* closed : {"/metrics", "/api/v1/state", "/api/v1/objects", "/api/v1/clients",
                             "/api/v1/waits", "/api/v1/history", "/api/v1/why", "/api/v1/absent"}) {
    const WebAnswer refused = daemon.Get(closed);
    EXPECT_EQ(refused.status, 401) << closed;
    EXPECT_THAT(refused.head, HasSubstr("WWW-Authenticate: Bearer"));
    EXPECT_EQ(daemon.Get(closed, "Authorization: Bearer 0123456789abcdef\r\n").status, 401);
  }
  const std::string right = "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n";
  EXPECT_EQ(daemon.Get("/api/v1/state", right).status, 200);
  EXPECT_EQ(daemon.Get("/metrics", right).status, 200);
}

int ExitCodeOf(const std::vector<std::string>& flags, const std::string& folder,
               std::string* said) {
  std::string command = TestDaemon::Program() + " --size=64Mi --socket=" + folder + "/s.sock";
  for (const std::string& flag : flags) command += " " + flag;
  command += " >" + folder + "/said 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream in(folder + "/said");
  said->assign(std::istreambuf_iterator<char>(in), {});
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Token, WithoutOneNoAddressThatOthersReachIsListenedAt) {
  std::string said;
  EXPECT_EQ(ExitCodeOf({"--http=0.0.0.0:0"}, folder_.path(), &said), 2);
  EXPECT_THAT(said, HasSubstr("--http_token_file"));
  EXPECT_EQ(ExitCodeOf({"--http=0.0.0.0:0", "--http_token_file=" + folder_.path() + "/absent"},
                       folder_.path(), &said),
            2);
  EXPECT_THAT(said, HasSubstr("absent"));
  WebDaemon daemon({flag_}, "0.0.0.0:0");
  EXPECT_EQ(daemon.Get("/healthz").status, 200);
}

TEST_F(Token, AnAddressInUseIsAnErrorAtTheStart) {
  WebDaemon daemon;
  std::string said;
  EXPECT_EQ(
      ExitCodeOf({"--http=127.0.0.1:" + std::to_string(daemon.port())}, folder_.path(), &said), 1);
  EXPECT_THAT(said, HasSubstr("another program listens"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/s.sock"));
}

// ---- processes that end

TEST(HttpProcess, ComesBackWhenItIsKilledAndNobodyElseNotices) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "kept"));
  const pid_t engine = daemon.engine();
  const uint16_t port = daemon.port();
  daemon.Await("/readyz", 200);
  const json version = daemon.Await("/api/v1/state", 200).json()["objects_version"];
  for (int i = 0; i < 3; ++i) {
    daemon.Await("/readyz", 200);
    const pid_t web = daemon.web();
    ::kill(web, SIGKILL);
    EXPECT_TRUE(Eventually([&] {
      const pid_t now = testing::WebProcessOf(daemon.keeper());
      return now != 0 && now != web;
    }));
    EXPECT_TRUE(client.Get("kept").ok());
  }
  daemon.Await("/readyz", 200);
  EXPECT_GT(daemon.Await("/api/v1/state", 200).json()["objects_version"], version)
      << "a page that knows a version of another process reads the list anew";
  EXPECT_EQ(daemon.port(), port);
  EXPECT_EQ(daemon.engine(), engine);
}

TEST(HttpProcess, GoesWithItsKeeper) {
  WebDaemon daemon;
  const pid_t web = daemon.web();
  ASSERT_OK_AND_ASSIGN(const os::UniqueFd process, os::OpenPidFd(web));
  daemon.KillKeeper();
  EXPECT_TRUE(Eventually([&] { return os::HasEnded(process); }));
}

TEST(HttpProcess, EndsWithTheInstance) {
  WebDaemon daemon;
  const pid_t web = daemon.web();
  EXPECT_EQ(daemon.Stop(), 0);
  EXPECT_EQ(::kill(web, 0), -1) << "it has been waited for";
}

TEST(HttpProcess, SaysThatTheInstanceDoesNotAnswerAndGoesOnWhenItDoes) {
  WebDaemon daemon;
  daemon.Await("/readyz", 200);
  daemon.PauseEngine();
  const WebAnswer silent = daemon.Await("/readyz", 503);
  EXPECT_THAT(silent.body, ::testing::EndsWith("\n"));
  EXPECT_EQ(std::ranges::count(silent.body, '\n'), 1) << silent.body;
  EXPECT_EQ(daemon.Get("/healthz").status, 200);
  EXPECT_EQ(daemon.Get("/api/v1/state").status, 503);
  EXPECT_THAT(daemon.Get("/metrics").body, HasSubstr("vineyard_up 0\n"));
  daemon.ResumeEngine();
  daemon.Await("/readyz", 200);
  EXPECT_THAT(daemon.Get("/metrics").body, HasSubstr("vineyard_up 1\n"));
}

TEST(HttpProcess, FiguresGoOnWithTheNextEngine) {
  WebDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "kept"));
  daemon.Await("/readyz", 200);
  const pid_t web = daemon.web();
  daemon.KillEngine();
  json state;
  EXPECT_TRUE(Eventually([&] {
    const WebAnswer answer = daemon.Get("/api/v1/state");
    if (answer.status != 200) return false;
    state = answer.json();
    return state["instance"]["generation"] == 2 && state["volumes"][0]["objects"] == 1;
  })) << state.dump();
  EXPECT_THAT(daemon.Get("/metrics").body, HasSubstr("vineyard_engine_restarts_total 1\n"));
  EXPECT_EQ(daemon.web(), web);
}

TEST(HttpProcess, RunsTheProgramThatAnUpgradeHasBrought) {
  const testing::TempFolder folder;
  const std::string program = folder.path() + "/vineyardd";
  fs::copy_file(TestDaemon::Program(), program);
  WebDaemon daemon({}, "127.0.0.1:0", program);
  Client client = daemon.Connect();
  daemon.Await("/readyz", 200);
  const pid_t web = daemon.web();
  fs::copy_file(TestDaemon::Program(), program + ".new");
  fs::rename(program + ".new", program);
  ASSERT_OK(client.Upgrade({.watch = false}));
  EXPECT_TRUE(Eventually([&] {
    const pid_t now = testing::WebProcessOf(daemon.keeper());
    return now != 0 && now != web;
  }));
  daemon.Await("/readyz", 200);
}

// ---- what it has given up

TEST(HttpProcess, HasNoRightsAndFewSystemCalls) {
  if (testing::IsInstrumented()) GTEST_SKIP() << "a build with a sanitizer keeps them";
  WebDaemon daemon;
  daemon.Await("/readyz", 200);
  std::ifstream in("/proc/" + std::to_string(daemon.web()) + "/status");
  const std::string status(std::istreambuf_iterator<char>(in), {});
  for (const char* line : {"CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
                           "NoNewPrivs:\t1\n", "Seccomp:\t2\n"}) {
    EXPECT_THAT(status, HasSubstr(line));
  }
  EXPECT_THAT(daemon.log(), Not(HasSubstr("not permitted")));
}

}  // namespace
}  // namespace vineyard
