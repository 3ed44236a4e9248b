// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A reader that finds everything in shared memory, without a word to the instance, notices at its next
// call when that memory has become history.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

using std::chrono::milliseconds;

// One that has read "small" and "large" so often that it asks nobody any more.
class HotReader : public ::testing::Test {
 protected:
  HotReader() : writer_(daemon_.Connect()), reader_(daemon_.Connect()) {
    EXPECT_OK(PutPattern(writer_, 1, kSmall, "small"));
    EXPECT_OK(PutPattern(writer_, 1, kLarge, "large"));
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(HoldsPattern(reader_.Get("small"), 1, kSmall));
      auto large = reader_.Get("large");
      EXPECT_TRUE(HoldsPattern(large, 1, kLarge));
      if (large.ok()) large_ = *large;  // stays mapped
    }
  }
  static GetOptions Soon() { return {.timeout = milliseconds(200)}; }

  TestDaemon daemon_;
  Client writer_;
  Client reader_;
  Object large_;
};

TEST_F(HotReader, AsksNobody) {
  daemon_.PauseEngine();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(HoldsPattern(reader_.Get("small"), 1, kSmall));
    EXPECT_TRUE(HoldsPattern(reader_.Get("large"), 1, kLarge));
  }
  EXPECT_CODE(kDeadlineExceeded, reader_.Get("unknown", Soon())) << "a miss is never trusted";
  daemon_.ResumeEngine();
  EXPECT_CODE(kNotFound, reader_.Get("unknown"));
}

// The keeper, stopped, starts no engine: whoever connects again goes on trying, and holds up no other.
TEST_F(HotReader, OneThreadThatWaitsForAnEngineLeavesTheOthersTheirDeadlines) {
  daemon_.PauseKeeper();
  daemon_.KillEngine();
  Status patient = Status::Internal("not asked");
  std::jthread waiting([&] { patient = reader_.GetStatus().status(); });
  for (int i = 0; i < 5; ++i) {
    EXPECT_CODE(kDeadlineExceeded, reader_.GetStatus({.timeout = milliseconds(50)}));
  }
  daemon_.ResumeKeeper();
  waiting.join();
  EXPECT_OK(patient);
}

TEST_F(HotReader, SeesEachChangeAtOnce) {
  for (uint64_t i = 2; i < 200; ++i) {
    ASSERT_OK(PutPattern(writer_, i, kSmall, "small"));
    ASSERT_TRUE(HoldsPattern(reader_.Get("small"), i, kSmall));
  }
  ASSERT_OK(writer_.DropName("small"));
  EXPECT_CODE(kNotFound, reader_.Get("small"));
  ASSERT_OK(writer_.Delete({large_.id()}));
  EXPECT_CODE(kNotFound, reader_.Get("large"));
  EXPECT_CODE(kNotFound, reader_.Get(large_.id()));
  EXPECT_CODE(kNotFound, reader_.GetBlob(large_.id().own_blob()));
  EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1));
}

TEST_F(HotReader, GoesOnWithTheNextEngine) {
  for (uint64_t i = 2; i < 8; ++i) {
    daemon_.KillEngine();
    ASSERT_OK(PutPattern(writer_, i, kSmall, "small"));
    ASSERT_OK(PutPattern(writer_, i, kLarge, "large"));
    ASSERT_TRUE(HoldsPattern(reader_.Get("small"), i, kSmall)) << "never what was there before";
    ASSERT_TRUE(HoldsPattern(reader_.Get("large"), i, kLarge));
  }
}

TEST_F(HotReader, TrustsNothingWhileNoEngineLives) {
  daemon_.PauseKeeper();
  daemon_.KillEngine();
  EXPECT_CODE(kDeadlineExceeded, reader_.Get("small", Soon()));
  EXPECT_CODE(kDeadlineExceeded, reader_.GetName("large", Soon()));
  EXPECT_CODE(kDeadlineExceeded, reader_.Get(large_.id(), Soon()));
  EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1));
  daemon_.ResumeKeeper();
  EXPECT_TRUE(HoldsPattern(reader_.Get("small"), 1, kSmall));
  EXPECT_TRUE(HoldsPattern(reader_.Get(large_.id()), 1, kLarge));
}

TEST_F(HotReader, HearsOfAnInstanceThatWasAskedToEnd) {
  EXPECT_EQ(daemon_.Stop(), 0);
  EXPECT_CODE(kUnavailable, reader_.Get("small"));
  EXPECT_CODE(kUnavailable, reader_.Get(large_.id()));
  EXPECT_CODE(kUnavailable, reader_.GetBlob(large_.id().own_blob()));
  EXPECT_CODE(kUnavailable, reader_.GetName("small"));
  EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1));
}

TEST_F(HotReader, HearsOfAKeeperThatWasKilled) {
  daemon_.KillKeeper();  // returns when the engine has ended as well
  EXPECT_CODE(kUnavailable, reader_.Get("small"));
  EXPECT_CODE(kUnavailable, reader_.Get(large_.id()));
  EXPECT_CODE(kUnavailable, writer_.GetStatus());
  EXPECT_CODE(kUnavailable, PutPattern(writer_, 2, kLarge, "large"));
  EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1));
}

TEST_F(HotReader, HearsOfAContainerThatWasKilled) {
  daemon_.KillGroup();
  EXPECT_CODE(kUnavailable, reader_.Get("small"));
  EXPECT_CODE(kUnavailable, reader_.Get("large"));
  EXPECT_CODE(kUnavailable, reader_.Get(large_.id()));
  EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1));
}

TEST_F(HotReader, TakesNothingOfTheOldInstanceForTheNewOnes) {
  for (const bool killed : {true, false}) {
    if (killed) {
      daemon_.KillKeeper();
    } else {
      EXPECT_EQ(daemon_.Stop(), 0);
    }
    daemon_.Start();
    // Ids begin with the clock, so within one second they are the same ones again.
    ASSERT_OK(PutPattern(writer_, 7, kSmall, "small"));
    auto large = PutPattern(writer_, 7, kLarge, "large");
    ASSERT_OK(large);
    EXPECT_TRUE(HoldsPattern(reader_.Get("small"), 7, kSmall));
    EXPECT_TRUE(HoldsPattern(reader_.Get("large"), 7, kLarge));
    EXPECT_TRUE(HoldsPattern(reader_.Get(*large), 7, kLarge));
    auto blob = reader_.GetBlob(large->own_blob());
    ASSERT_OK(blob);
    EXPECT_TRUE(IsPattern(blob->bytes(), 7));
    EXPECT_TRUE(IsPattern(large_.buffers()[0].bytes(), 1)) << "the old one's is not touched";
    large_ = reader_.Get("large").value();
    ASSERT_OK(PutPattern(writer_, 1, kLarge, "other"));
    ASSERT_OK(PutPattern(writer_, 1, kLarge, "large"));
    large_ = reader_.Get("large").value();
  }
}

TEST_F(HotReader, AWaitEndsWithTheInstance) {
  std::thread waiter([&] { EXPECT_CODE(kUnavailable, reader_.Get("never", {.wait = true})); });
  EXPECT_TRUE(Eventually([&] { return writer_.GetStatus().value().waiting == 1; }));
  daemon_.KillGroup();
  waiter.join();
}

}  // namespace
}  // namespace vineyard::testing
