// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/engine_process.h"

#include <csignal>
#include <span>
#include <utility>

#include "base/logging.h"
#include "daemon/keeper.h"

namespace vineyard::daemon {

Result<std::unique_ptr<EngineProcess>> EngineProcess::Start(const std::vector<std::string>& command,
                                                            int program, const KeptItems& items) {
  VY_ASSIGN_OR_RETURN(auto ends, os::PacketPair());
  const int theirs = ends.second.get();
  VY_ASSIGN_OR_RETURN(const pid_t pid,
                      os::Spawn({.command = command,
                                 .environment = {{kEngineFdVariable, std::to_string(theirs)},
                                                 {kEngineVariable, "1"}},
                                 .inherited_fd = theirs,
                                 .program = program}));
  std::unique_ptr<EngineProcess> engine(new EngineProcess(pid, items));
  engine->socket_ = std::move(ends.first);
  VY_ASSIGN_OR_RETURN(engine->pidfd_, os::OpenPidFd(pid));
  return engine;
}

EngineProcess::~EngineProcess() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Reap();
}

void EngineProcess::Signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

os::ProcessEnd EngineProcess::Reap() {
  const auto end = os::Reap(std::exchange(pid_, -1));
  return end.ok() ? *end : os::ProcessEnd{true, SIGKILL};
}

void EngineProcess::Say(const KeeperMessage& message) {
  const bool others_wait = !outgoing_.empty();
  outgoing_.push_back(message);
  if (!others_wait) Flush();
}

void EngineProcess::Flush() {
  busy_ = false;
  while (!outgoing_.empty()) {
    KeeperMessage& message = outgoing_.front();
    int fd = -1;
    if (message.op == KeeperOp::kItem) {
      fd = items_.Descriptor(KeyOf(message));
      if (fd < 0) {  // dropped meanwhile
        outgoing_.pop_front();
        continue;
      }
    }
    if (message.op == KeeperOp::kInventoryEnd) message.a = items_sent_;
    auto sent = os::SendPacket(socket_, std::as_bytes(std::span(&message, 1)), fd);
    if (!sent.ok()) {
      outgoing_.clear();  // it has closed its socket: its end will be seen
      return;
    }
    if (*sent != os::Sent::kSent) {
      busy_ = *sent == os::Sent::kBusy;
      return;
    }
    if (fd >= 0) ++items_sent_;
    outgoing_.pop_front();
  }
}

std::optional<EngineProcess::Heard> EngineProcess::Hear() {
  if (closed_) return std::nullopt;
  Heard heard;
  auto packet = os::ReceivePacket(socket_, std::as_writable_bytes(std::span(&heard.message, 1)));
  if (!packet.ok()) {
    log::Error("cannot read from the engine", {{"why", packet.status().message()}});
    return std::nullopt;
  }
  if (packet->arrival == os::Arrival::kNothing) return std::nullopt;
  if (packet->arrival == os::Arrival::kClosed) {
    closed_ = true;
    return std::nullopt;
  }
  if (packet->bytes != sizeof heard.message || heard.message.version != kKeeperProtocolVersion) {
    log::Error("engine sent a packet that means nothing here",
               {{"bytes", packet->bytes}, {"version", heard.message.version}});
    return Heard{};
  }
  heard.packet = std::move(packet).value();
  return heard;
}

}  // namespace vineyard::daemon
