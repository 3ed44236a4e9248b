// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The keeper and its engine: how one starts, what it may say, and what follows its end.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/keeper_loop.h"
#include "os/packet.h"
#include "os/process.h"

namespace vineyard::daemon {

using std::chrono::milliseconds;

namespace {

bool IsFault(const os::ProcessEnd& end) {
  if (!end.by_signal) return end.code != 0;
  constexpr std::array kFaults{SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGTRAP};
  return std::ranges::find(kFaults, end.code) != kFaults.end();
}

std::string Describe(const os::ProcessEnd& end) {
  if (!end.by_signal) return fmt::format("exit code {}", end.code);
  return fmt::format("signal {} ({})", end.code, ::strsignal(end.code));
}

}  // namespace

Status Keeper::StartEngine() {
  auto installed = os::OpenProgram(options_.engine_command[0]);  // else starting it says why
  const Succession::Choice choice = succession_.Begin(std::move(installed), os::Clock::now());
  VY_ASSIGN_OR_RETURN(engine_,
                      EngineProcess::Start(options_.engine_command, choice.program, items_));
  if (choice.standing == Succession::Standing::kFormer) {
    log::Error("the program that served before runs instead of the one that is installed",
               {{"installed", options_.engine_command[0]}});
  }
  Greet(choice.standing);
  return {};
}

void Keeper::Greet(Succession::Standing standing) {
  KeeperMessage hello{.op = KeeperOp::kHello};
  hello.a = ++generation_;
  hello.b = static_cast<uint64_t>(start_);
  hello.c = uuid_[0];
  hello.d = uuid_[1];
  hello.e = os::FdLimit();
  hello.f = standing == Succession::Standing::kFormer ? 1 : 0;
  engine_->Say(hello);
  for (const KeeperMessage& item : items_.Inventory()) engine_->Say(item);
  KeeperMessage end{.op = KeeperOp::kInventoryEnd};
  end.b = standing == Succession::Standing::kOnProbation ? 1 : 0;
  engine_->Say(end);
}

// ---- a program that is to take over

void Keeper::Try(const KeeperMessage& message) {
  const auto answer = [&](TrialOutcome outcome) {
    KeeperMessage tried{.op = KeeperOp::kTried, .sequence = message.sequence};
    tried.c = static_cast<uint64_t>(outcome);
    engine_->Say(tried);
  };
  if (trial_ != nullptr || stopping_) return answer(TrialOutcome::kBusy);
  auto trial = ProgramTrial::Start(options_.engine_command, message.sequence,
                                   os::Clock::now() + options_.trial_patience);
  if (trial.ok()) {
    trial_ = std::move(trial).value();
    return;
  }
  log::Error("cannot try a program", {{"why", trial.status().message()}});
  answer(TrialOutcome::kNotStarted);
}

// REQUIRES: it has ended, or its time is up.
void Keeper::FinishTrial() {
  const ProgramTrial::Verdict verdict = trial_->Finish(succession_.formats());
  KeeperMessage tried{.op = KeeperOp::kTried, .sequence = trial_->sequence()};
  tried.c = static_cast<uint64_t>(verdict.outcome);
  tried.d = verdict.detail;
  trial_.reset();
  const bool good = verdict.outcome == TrialOutcome::kGood;
  log::Info("a program was tried", {{"program", options_.engine_command[0]}, {"good", good}});
  if (good) succession_.Pardon();
  if (engine_) engine_->Say(tried);
}

void Keeper::LookAtProgram(os::TimePoint now) {
  if (succession_.Settle(now)) {
    log::Info("the program that is installed has served well, and stays");
    engine_->Say({.op = KeeperOp::kSettled});
  }
  if (!succession_.IsLate(now) || kill_at_) return;
  log::Error("engine does not begin to serve and is killed", {{"pid", engine_->pid()}});
  engine_->Signal(SIGKILL);
  kill_at_ = now + kStopPatience;  // its end will be seen before
}

// False when there is nothing (more) to hear now.
bool Keeper::HearEngine() {
  auto heard = engine_->Hear();
  // An engine that has closed its socket is ending. One that does not is of no use.
  if (engine_->closed() && !kill_at_) kill_at_ = os::Clock::now() + kStopPatience;
  if (!heard) return false;
  HandleMessage(heard->message, std::move(heard->packet));
  return true;
}

void Keeper::HandleMessage(const KeeperMessage& message, os::Packet packet) {
  switch (message.op) {
    case KeeperOp::kHold: {
      Status held = packet.fd_lost ? Status::LimitExceeded("too many descriptors are open")
                                   : items_.Hold(message, std::move(packet.fd));
      if (!held.ok()) {
        log::Error("cannot hold what the engine sent",
                   {{"kind", static_cast<uint32_t>(message.kind)}, {"why", held.message()}});
      }
      Answer(KeeperOp::kHeld, message, held.code());
      return;
    }
    case KeeperOp::kDrop:
      items_.Drop(KeyOf(message));
      Answer(KeeperOp::kDropped, message, StatusCode::kOk);
      return;
    case KeeperOp::kReady:
      if (engine_->serves) return;
      engine_->serves = ever_served_ = true;
      succession_.Serves(
          {.catalog = std::max<uint64_t>(message.a, 1), .ledger = std::max<uint64_t>(message.b, 1)},
          os::Clock::now());
      if (http_) http_->FollowProgram();
      return;
    case KeeperOp::kStop: Stop("asked to by its owner"); return;
    case KeeperOp::kTry: Try(message); return;
    case KeeperOp::kHello:
    case KeeperOp::kItem:
    case KeeperOp::kInventoryEnd:
    case KeeperOp::kHeld:
    case KeeperOp::kDropped:
    case KeeperOp::kTried:
    case KeeperOp::kSettled:
    case KeeperOp::kCapable: break;
  }
  log::Error("engine sent a message that only a keeper sends",
             {{"op", static_cast<uint32_t>(message.op)}});
}

void Keeper::Answer(KeeperOp op, const KeeperMessage& to, StatusCode outcome) {
  if (to.sequence == 0) return;
  KeeperMessage answer{.op = op, .sequence = to.sequence, .kind = to.kind, .a = to.a, .b = to.b};
  answer.c = static_cast<uint64_t>(outcome);
  engine_->Say(answer);
}

void Keeper::HandleEngineEnd() {
  // What it sent before it died is as good as what it sent before that.
  while (HearEngine()) {
  }
  items_.MarkReplaced();
  const pid_t pid = engine_->pid();
  trial_.reset();  // nobody waits for its outcome any more
  const os::ProcessEnd end = engine_->Reap();
  os::ReapOrphans(http_ ? http_->pid()
                        : -1);  // the process that touched pages for it, or for the one before
  const bool served = engine_->serves;
  engine_.reset();
  kill_at_.reset();
  if (stopping_) {
    finished_ = true;
    return;
  }
  if (!ever_served_ && !end.by_signal && end.code != 0) {  // it has said why
    finished_ = true;
    exit_code_ = end.code;
    return;
  }
  // Who has not served has not carried out any request: how the one before it ended still counts, and a request
  // of that one's is not to be blamed for what became of this.
  if (served) {
    start_ = IsFault(end) ? KeeperStart::kAfterFault : KeeperStart::kAfterKill;
  } else if (start_ == KeeperStart::kFirst) {
    start_ = KeeperStart::kAfterKill;
  }
  const milliseconds pause = succession_.Ended(IsFault(end), os::Clock::now());
  StartEngineAfter(pause);
  if (served) {
    log::Warning("engine ended; another starts",
                 {{"pid", pid}, {"end", Describe(end)}, {"pause_ms", pause.count()}});
  } else {
    log::Error("engine ended before it served; another starts after a pause",
               {{"pid", pid}, {"end", Describe(end)}, {"pause_ms", pause.count()}});
  }
}

}  // namespace vineyard::daemon
