// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/succession.h"

#include <algorithm>
#include <utility>

#include "base/logging.h"

namespace vineyard::daemon {

namespace {

using Milliseconds = Succession::Milliseconds;

// So many engines of a program in a row end before they serve: then the former one has its turn.
constexpr int kMostFailures = 2;
// The pause before a new engine where the last one died before it served; doubles up to the second.
constexpr Milliseconds kFirstPause{100};
constexpr Milliseconds kLongestPause{5000};
// The same where engines serve for less than the time, and end by a fault: nobody gains from ten of them in a second.
constexpr std::chrono::seconds kLongEnough{10};
constexpr Milliseconds kLongestPauseAfterFaults{2000};

Milliseconds Longer(Milliseconds pause, Milliseconds longest) {
  return pause.count() == 0 ? kFirstPause : std::min(2 * pause, longest);
}

}  // namespace

Succession::Choice Succession::Begin(Result<os::UniqueFd> installed, os::TimePoint now) {
  running_ = std::make_unique<Running>();
  Running& running = *running_;
  running.since = now;
  if (installed.ok()) {
    running.program = std::move(installed).value();
    if (auto file = os::LookAtProgram(running.program); file.ok()) running.file = *file;
  }
  if (!good_.valid() || running.file.IsSameAs(good_file_)) return {};
  if (rejected_ == running.file && failures_ % kMostFailures == 0) {
    running.standing = Standing::kFormer;
    return {running.standing, good_.get()};
  }
  running.standing = Standing::kOnProbation;
  return {running.standing, -1};
}

void Succession::Serves(const Formats& writes, os::TimePoint now) {
  if (!running_) return;
  last_start_ = std::chrono::ceil<Milliseconds>(now - running_->since);
  running_->serves = true;
  running_->since = now;
  formats_ = writes;
  failures_ = 0;
  pause_ = Milliseconds(0);
  if (running_->standing == Standing::kFormer) return;
  rejected_.reset();
  if (running_->standing == Standing::kOnProbation && writes == good_writes_) return;
  if (running_->standing == Standing::kOnProbation) {
    log::Warning("the program writes other formats than the one before, which can't come back");
  }
  Adopt();
}

// REQUIRES: it serves, and is not the former one.
void Succession::Adopt() {
  running_->standing = Standing::kGood;
  if (!running_->program.valid()) return;
  good_ = std::move(running_->program);
  good_file_ = running_->file;
  good_writes_ = formats_;
}

bool Succession::Settle(os::TimePoint now) {
  if (!running_ || running_->standing != Standing::kOnProbation || !running_->serves) return false;
  if (now < running_->since + periods_.probation) return false;
  Adopt();
  return true;
}

Milliseconds Succession::Patience() const { return std::max(periods_.start, 10 * last_start_); }

// The good program is waited for, however long it takes: there is no better one.
bool Succession::IsLate(os::TimePoint now) const {
  return running_ && running_->standing == Standing::kOnProbation && !running_->serves &&
         now >= running_->since + Patience();
}

std::optional<os::TimePoint> Succession::NextLook() const {
  if (!running_ || running_->standing != Standing::kOnProbation) return std::nullopt;
  return running_->since + (running_->serves ? periods_.probation : Patience());
}

void Succession::Reject(const char* why) {
  rejected_ = running_->file;
  failures_ = 0;
  log::Error("the program that is installed is given up; the one that served before runs again",
             {{"why", why}});
}

Milliseconds Succession::Ended(bool by_fault, os::TimePoint now) {
  if (!running_) return CouldNotStart();
  const bool on_probation = running_->standing == Standing::kOnProbation;
  if (!running_->serves) {
    ++failures_;
    if (IsLate(now)) {
      Reject("it did not begin to serve in time");
    } else if (on_probation && failures_ >= kMostFailures) {
      Reject("it ended before it served");
    }
    return CouldNotStart();
  }
  if (on_probation && by_fault) Reject("it ended by a fault soon after it had begun to serve");
  const Milliseconds pause = PauseAfter(by_fault, now);
  running_.reset();
  return pause;
}

Milliseconds Succession::CouldNotStart() {
  running_.reset();
  pause_ = Longer(pause_, kLongestPause);
  return pause_;
}

// The first fault costs nobody a moment. Those that follow it soon come ever more slowly, but another engine always
// starts: there may be data.
Milliseconds Succession::PauseAfter(bool by_fault, os::TimePoint now) {
  if (!by_fault) return Milliseconds(0);
  const bool soon = now - running_->since < kLongEnough;
  const Milliseconds pause = soon ? pause_after_faults_ : Milliseconds(0);
  pause_after_faults_ = Longer(pause, kLongestPauseAfterFaults);
  return pause;
}

}  // namespace vineyard::daemon
