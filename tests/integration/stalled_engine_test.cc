// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// An engine that has stopped in the midst of things, and a program whose threads share a client: what one of
// them can't send holds up none of the others.
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;
using testing::HoldsPattern;
using testing::PutPattern;
using testing::TestDaemon;

// More than any socket or ring takes at once, in a frame that the instance answers.
Result<ObjectId> PutMuch(Client& client, Timeout timeout) {
  ObjectBuilder builder("test");
  builder.SetMetadata("{\"x\": \"" + std::string(size_t{8} << 20, 'x') + "\"}");
  return client.Put(builder, {.timeout = timeout, .name = "much"});
}

enum class Way { kSocket, kRing };

class StalledEngine : public ::testing::TestWithParam<Way> {
 protected:
  // In a burst, a client sends its requests through a ring, where the machine has processors for that.
  Client Connect(std::function<bool()> interrupted) {
    auto client = Client::Connect({.socket = daemon_.socket(),
                                   .timeout = seconds(100),
                                   .interrupted = std::move(interrupted)});
    EXPECT_OK(client);
    for (int i = 0; GetParam() == Way::kRing && i < 1000; ++i) {
      EXPECT_OK(PutPattern(*client, 1, 10, "a"));
    }
    return std::move(*client);
  }

  TestDaemon daemon_;
};

TEST_P(StalledEngine, AThreadThatCanNotSendHoldsUpNoOther) {
  std::atomic<int> asked = 0;
  Client client = Connect([&] { return ++asked < 0; });
  daemon_.PauseEngine();
  asked = 0;
  Status put;
  std::thread sender([&] { put = PutMuch(client, seconds(100)).status(); });
  ASSERT_TRUE(Eventually([&] { return asked > 0; })) << "the thread does not wait";
  EXPECT_CODE(kDeadlineExceeded, client.Get("absent", {.timeout = milliseconds(1)}));
  client.Close();
  sender.join();
  EXPECT_CODE(kCancelled, put);
  daemon_.ResumeEngine();
  EXPECT_OK(PutPattern(*std::make_unique<Client>(daemon_.Connect()), 1, 10));
}

// Python asks its interpreter, for whose lock another thread may wait that has the client's.
TEST_P(StalledEngine, WhoIsAskedWhetherToGoOnMayUseTheClient) {
  std::optional<Client> client;
  bool stalled = false;
  bool asked = false;
  client.emplace(Connect([&] {
    if (!stalled || asked) return false;
    asked = true;
    EXPECT_CODE(kDeadlineExceeded, client->Get("absent", {.timeout = milliseconds(1)}));
    return true;
  }));
  daemon_.PauseEngine();
  stalled = true;
  EXPECT_CODE(kCancelled, PutMuch(*client, seconds(100)));
  EXPECT_TRUE(asked);
  stalled = false;
  daemon_.ResumeEngine();
  EXPECT_OK(PutPattern(*client, 2, 10, "b"));
  EXPECT_TRUE(HoldsPattern(client->Get("b"), 2, 10));
}

TEST_P(StalledEngine, AllThreadsGoOnWithTheNextEngine) {
  std::atomic<int> asked = 0;
  Client client = Connect([&] { return ++asked < 0; });
  daemon_.PauseEngine();
  asked = 0;
  constexpr int kThreads = 4;
  std::vector<Status> results(kThreads);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::string name = "of " + std::to_string(i);
      results[i] = PutMuch(client, seconds(100)).status();
      for (uint64_t n = 0; n < 20 && results[i].ok(); ++n) {
        results[i] = PutPattern(client, i * 100 + n, 1000, name).status();
      }
    });
  }
  ASSERT_TRUE(Eventually([&] { return asked > 0; }));
  daemon_.KillEngine();
  for (std::thread& t : threads) t.join();
  for (size_t i = 0; i < kThreads; ++i) {
    EXPECT_OK(results[i]);
    EXPECT_TRUE(HoldsPattern(client.Get("of " + std::to_string(i)), i * 100 + 19, 1000));
  }
}

INSTANTIATE_TEST_SUITE_P(Through, StalledEngine, ::testing::Values(Way::kSocket, Way::kRing),
                         [](const auto& each) {
                           return each.param == Way::kSocket ? "TheSocket" : "ARing";
                         });

}  // namespace
}  // namespace vineyard
