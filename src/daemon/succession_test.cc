// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/succession.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Standing = Succession::Standing;

class SuccessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = fs::temp_directory_path() / "succession_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    Install();
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Another file in the program's place.
  void Install() {
    std::ofstream(folder_ / "newer") << "program " << ++installed_;
    fs::rename(folder_ / "newer", path());
  }
  fs::path path() const { return folder_ / "program"; }

  Standing Begin() {
    choice_ = succession_.Begin(os::OpenProgram(path()), now_);
    EXPECT_EQ(choice_.program >= 0, choice_.standing == Standing::kFormer);
    return choice_.standing;
  }
  Standing BeginAndServe() {
    const Standing standing = Begin();
    succession_.Serves({}, now_);
    return standing;
  }
  /// Whether its probation has ended well after the time.
  bool SettlesAfter(milliseconds time) {
    now_ += time;
    return succession_.Settle(now_);
  }
  milliseconds Fault() { return succession_.Ended(true, now_); }
  milliseconds Kill() { return succession_.Ended(false, now_); }

  fs::path folder_;
  int installed_ = 0;
  os::TimePoint now_;
  Succession succession_{{.probation = milliseconds(1000), .start = milliseconds(5000)}};
  Succession::Choice choice_;
};

TEST_F(SuccessionTest, TheFirstProgramIsGoodAsSoonAsItServes) {
  EXPECT_EQ(Begin(), Standing::kGood);
  EXPECT_EQ(succession_.NextLook(), std::nullopt) << "it is waited for, however long it takes";
  succession_.Serves({}, now_);
  EXPECT_EQ(succession_.NextLook(), std::nullopt);
  Fault();
  EXPECT_EQ(BeginAndServe(), Standing::kGood);
  Install();
  Kill();
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
}

TEST_F(SuccessionTest, AFaultOnProbationBringsTheFormerProgramBack) {
  BeginAndServe();
  Kill();
  Install();
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
  EXPECT_EQ(succession_.NextLook(), now_ + milliseconds(1000));
  EXPECT_FALSE(SettlesAfter(milliseconds(999)));
  EXPECT_EQ(Fault(), milliseconds(0)) << "nobody waits for it";
  EXPECT_EQ(BeginAndServe(), Standing::kFormer);
  EXPECT_EQ(succession_.NextLook(), std::nullopt);
  EXPECT_FALSE(SettlesAfter(milliseconds(5000)));
}

TEST_F(SuccessionTest, WhatFailedIsNotRunAgainBeforeAnotherLiesThere) {
  BeginAndServe();
  Kill();
  Install();
  BeginAndServe();
  Fault();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(BeginAndServe(), Standing::kFormer) << "nor after the former one has ended";
    i % 2 == 0 ? Fault() : Kill();
  }
  Install();
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
  EXPECT_TRUE(SettlesAfter(milliseconds(1000)));
}

TEST_F(SuccessionTest, WhoAsksForItGivesItAnotherChance) {
  BeginAndServe();
  Kill();
  Install();
  BeginAndServe();
  Fault();
  EXPECT_EQ(BeginAndServe(), Standing::kFormer);
  succession_.Pardon();
  Kill();
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
}

TEST_F(SuccessionTest, AfterItsProbationAProgramIsTheOneThatComesBack) {
  BeginAndServe();
  Kill();
  Install();
  BeginAndServe();
  EXPECT_TRUE(SettlesAfter(milliseconds(1000)));
  EXPECT_FALSE(SettlesAfter(milliseconds(1000))) << "once";
  Fault();
  EXPECT_EQ(BeginAndServe(), Standing::kGood);
  const auto good = os::LookAtProgram(os::OpenProgram(path()).value()).value();
  Fault();
  Install();
  BeginAndServe();
  Fault();
  EXPECT_EQ(Begin(), Standing::kFormer);
  os::UniqueFd former = os::DuplicateFd(choice_.program).value();
  EXPECT_EQ(os::LookAtProgram(former).value(), good);
}

TEST_F(SuccessionTest, AProgramThatIsReplacedOnItsProbationIsNotTheOneThatComesBack) {
  BeginAndServe();
  const auto first = os::LookAtProgram(os::OpenProgram(path()).value()).value();
  Kill();
  Install();
  BeginAndServe();
  Kill();
  Install();
  BeginAndServe();
  Fault();
  EXPECT_EQ(Begin(), Standing::kFormer);
  os::UniqueFd former = os::DuplicateFd(choice_.program).value();
  EXPECT_EQ(os::LookAtProgram(former).value(), first);
}

TEST_F(SuccessionTest, AKillIsNoFaultAndBeginsTheProbationAnew) {
  BeginAndServe();
  Kill();
  Install();
  BeginAndServe();
  EXPECT_FALSE(SettlesAfter(milliseconds(900)));
  EXPECT_EQ(Kill(), milliseconds(0));
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
  EXPECT_FALSE(SettlesAfter(milliseconds(900)));
  EXPECT_TRUE(SettlesAfter(milliseconds(100)));
}

TEST_F(SuccessionTest, TwoThatEndBeforeTheyServeAreFollowedByTheFormerAndThenTheyTakeTurns) {
  BeginAndServe();
  Kill();
  Install();
  EXPECT_EQ(Begin(), Standing::kOnProbation);
  EXPECT_EQ(Fault(), milliseconds(100));
  EXPECT_EQ(Begin(), Standing::kOnProbation);
  EXPECT_EQ(Kill(), milliseconds(200));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Begin(), Standing::kFormer);
    Fault();
    EXPECT_EQ(Begin(), Standing::kOnProbation);
    Fault();
  }
  EXPECT_EQ(BeginAndServe(), Standing::kFormer);
  Kill();
  EXPECT_EQ(BeginAndServe(), Standing::kFormer);
}

TEST_F(SuccessionTest, AProgramThatIsGoneIsOneThatEndsBeforeItServes) {
  BeginAndServe();
  Kill();
  fs::remove(path());
  EXPECT_EQ(Begin(), Standing::kOnProbation);
  Fault();
  Begin();
  Fault();
  EXPECT_EQ(BeginAndServe(), Standing::kFormer);
  Kill();
  EXPECT_EQ(BeginAndServe(), Standing::kFormer) << "it is not even tried";
  Install();
  Kill();
  EXPECT_EQ(BeginAndServe(), Standing::kOnProbation);
}

TEST_F(SuccessionTest, ANewProgramThatDoesNotBeginInTimeIsGivenUpAtOnce) {
  BeginAndServe();
  Kill();
  Install();
  EXPECT_EQ(Begin(), Standing::kOnProbation);
  EXPECT_EQ(succession_.NextLook(), now_ + milliseconds(5000));
  now_ += milliseconds(4999);
  EXPECT_FALSE(succession_.IsLate(now_));
  now_ += milliseconds(1);
  EXPECT_TRUE(succession_.IsLate(now_));
  Kill();
  EXPECT_EQ(Begin(), Standing::kFormer);
  now_ += std::chrono::hours(1);
  EXPECT_FALSE(succession_.IsLate(now_)) << "there is nothing better";
}

TEST_F(SuccessionTest, WhereTheLastStartTookLongTheNextMayTakeTenTimesThat) {
  Begin();
  now_ += milliseconds(2000);
  succession_.Serves({}, now_);
  Kill();
  Install();
  Begin();
  EXPECT_EQ(succession_.NextLook(), now_ + milliseconds(20'000));
}

TEST_F(SuccessionTest, WhatWritesOtherFormatsHasNoWayBack) {
  BeginAndServe();
  Kill();
  Install();
  EXPECT_EQ(Begin(), Standing::kOnProbation);
  succession_.Serves({.catalog = 2, .ledger = 1}, now_);
  EXPECT_EQ(succession_.NextLook(), std::nullopt);
  Fault();
  EXPECT_EQ(Begin(), Standing::kGood) << "the former one would set all of it aside";
}

TEST_F(SuccessionTest, FaultsThatFollowEachOtherMakePausesAndTheFirstNone) {
  for (const int pause : {0, 100, 200, 400, 800, 1600, 2000, 2000}) {
    BeginAndServe();
    EXPECT_EQ(Fault(), milliseconds(pause));
  }
  BeginAndServe();
  EXPECT_EQ(Kill(), milliseconds(0));
  BeginAndServe();
  now_ += std::chrono::seconds(10);
  EXPECT_EQ(Fault(), milliseconds(0));
  for (const int pause : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_EQ(succession_.CouldNotStart(), milliseconds(pause));
  }
}

}  // namespace
}  // namespace vineyard::daemon
