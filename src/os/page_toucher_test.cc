// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/page_toucher.h"

#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "os/process.h"

namespace vineyard::os {
namespace {

constexpr uint64_t kMi = uint64_t{1} << 20;

TEST(PageToucher, MakesAllPagesPresentAndKeepsNothing) {
  IgnoreLeaseSignals();
  ASSERT_OK_AND_ASSIGN(const auto toucher, PageToucher::Start());
  for (const uint64_t size : {PageSize(), 3 * PageSize(), kMi, 4 * kMi}) {
    ASSERT_OK_AND_ASSIGN(const UniqueFd file, CreateMemfd("touched", size));
    ASSERT_OK(toucher->Touch(file, size));
    EXPECT_EQ(BytesPresent(file).value(), size);
    EXPECT_FALSE(IsHeldElsewhere(file).value());
    EXPECT_OK(SealForever(file));  // no writable mapping is left
  }
}

TEST(PageToucher, SaysThatWhatCannotBeTouchedWasNot) {
  ASSERT_OK_AND_ASSIGN(const auto toucher, PageToucher::Start());
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, CreateMemfd("short", PageSize()));
  EXPECT_CODE(kOutOfMemory, toucher->Touch(file, 2 * PageSize()));
  ASSERT_OK_AND_ASSIGN(const UniqueFd sealed, CreateMemfd("sealed", PageSize()));
  ASSERT_OK(SealForever(sealed));
  EXPECT_FALSE(toucher->Touch(sealed, PageSize()).ok());
  EXPECT_OK(toucher->Touch(file, PageSize()));  // and goes on
}

TEST(PageToucher, IsUnavailableOnceItsProcessHasEnded) {
  ASSERT_OK_AND_ASSIGN(const auto toucher, PageToucher::Start());
  ASSERT_OK_AND_ASSIGN(const UniqueFd ended, OpenPidFd(toucher->pid()));
  ::kill(toucher->pid(), SIGKILL);
  while (!HasEnded(ended)) std::this_thread::yield();
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, CreateMemfd("touched", PageSize()));
  EXPECT_CODE(kUnavailable, toucher->Touch(file, PageSize()));
}

TEST(PageToucher, StopEndsATouchThatWaits) {
  ASSERT_OK_AND_ASSIGN(const auto toucher, PageToucher::Start());
  ::kill(toucher->pid(), SIGSTOP);  // it will never answer
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, CreateMemfd("touched", PageSize()));
  Status touched;
  std::thread waiting([&] { touched = toucher->Touch(file, PageSize()); });
  toucher->Stop();
  waiting.join();
  EXPECT_CODE(kUnavailable, touched);
  EXPECT_CODE(kUnavailable, toucher->Touch(file, PageSize()));
}

TEST(PageToucher, GoesOnThoughActivityNeverEnds) {
  ASSERT_OK_AND_ASSIGN(const auto toucher, PageToucher::Start());
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, CreateMemfd("touched", 24 * kMi));
  std::jthread active([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      toucher->NoteActivity(Clock::now());
      std::this_thread::yield();
    }
  });
  ASSERT_OK(toucher->Touch(file, 24 * kMi));
  EXPECT_EQ(BytesPresent(file).value(), 24 * kMi);
}

TEST(PageToucher, EndsWithTheProcessThatStartedIt) {
  ASSERT_OK_AND_ASSIGN(auto toucher, PageToucher::Start());
  ASSERT_OK_AND_ASSIGN(const UniqueFd ended, OpenPidFd(toucher->pid()));
  EXPECT_FALSE(HasEnded(ended));
  toucher.reset();
  EXPECT_TRUE(HasEnded(ended));
}

}  // namespace
}  // namespace vineyard::os
