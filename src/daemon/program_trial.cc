// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/program_trial.h"

#include <csignal>
#include <memory>
#include <span>
#include <utility>

#include "daemon/keeper.h"
#include "layout/catalog.h"
#include "layout/ledger.h"
#include "os/packet.h"
#include "os/process.h"

namespace vineyard::daemon {

Result<std::unique_ptr<ProgramTrial>> ProgramTrial::Start(
    const std::vector<std::string>& engine_command, uint64_t sequence, os::TimePoint deadline) {
  VY_ASSIGN_OR_RETURN(auto ends, os::PacketPair());
  const int theirs = ends.second.get();
  std::vector<std::string> command = engine_command;
  command.emplace_back("--self_test");
  std::unique_ptr<ProgramTrial> trial(new ProgramTrial);
  VY_ASSIGN_OR_RETURN(trial->pid_,
                      os::Spawn({.command = std::move(command),
                                 .environment = {{kEngineFdVariable, std::to_string(theirs)},
                                                 {kEngineVariable, "1"}},
                                 .inherited_fd = theirs}));
  VY_ASSIGN_OR_RETURN(trial->pidfd_, os::OpenPidFd(trial->pid_));
  trial->socket_ = std::move(ends.first);
  trial->deadline_ = deadline;
  trial->sequence_ = sequence;
  return trial;
}

ProgramTrial::~ProgramTrial() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  os::Reap(pid_).status().IgnoreError();
}

ProgramTrial::Verdict ProgramTrial::Finish(const Formats& in_use) {
  if (!os::HasEnded(pidfd_)) return {TrialOutcome::kSlow, 0};
  const auto end = os::Reap(std::exchange(pid_, -1));
  if (!end.ok()) return {TrialOutcome::kExited, 255};
  if (end->by_signal) return {TrialOutcome::kKilled, static_cast<uint64_t>(end->code)};
  if (end->code != 0) return {TrialOutcome::kExited, static_cast<uint64_t>(end->code)};
  KeeperMessage said;
  auto packet = os::ReceivePacket(socket_, std::as_writable_bytes(std::span(&said, 1)));
  if (!packet.ok() || packet->arrival != os::Arrival::kPacket) return {TrialOutcome::kSilent, 0};
  if (packet->bytes != sizeof said || said.version != kKeeperProtocolVersion) {
    return {TrialOutcome::kOtherProtocol, said.version};
  }
  if (said.op != KeeperOp::kCapable) return {TrialOutcome::kSilent, 0};
  if (in_use.catalog < said.a || in_use.catalog > said.b) {
    return {TrialOutcome::kOtherCatalog, in_use.catalog};
  }
  if (in_use.ledger < said.c || in_use.ledger > said.d) {
    return {TrialOutcome::kOtherLedger, in_use.ledger};
  }
  return {TrialOutcome::kGood, 0};
}

// One version of each is all that there has been.
Status ReportCapabilities(const os::UniqueFd& socket) {
  KeeperMessage message{.op = KeeperOp::kCapable};
  message.a = message.b = layout::kCatalogVersion;
  message.c = message.d = layout::kLedgerVersion;
  VY_ASSIGN_OR_RETURN(const os::Sent sent,
                      os::SendPacket(socket, std::as_bytes(std::span(&message, 1)), -1));
  return sent == os::Sent::kSent ? Status::OK() : Status::Unavailable("the keeper does not listen");
}

}  // namespace vineyard::daemon
