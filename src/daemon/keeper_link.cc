// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/keeper_link.h"

#include <chrono>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <asio/post.hpp>

#include "layout/catalog.h"
#include "layout/ledger.h"
#include "os/packet.h"
#include "os/socket.h"

namespace vineyard::daemon {

namespace {

constexpr std::chrono::milliseconds kBusyPause{10};

struct Incoming {
  KeeperMessage message;
  os::Packet packet;
};

Result<Incoming> Receive(const os::UniqueFd& socket) {
  Incoming in;
  VY_ASSIGN_OR_RETURN(in.packet,
                      os::ReceivePacket(socket, std::as_writable_bytes(std::span(&in.message, 1))));
  if (in.packet.arrival == os::Arrival::kClosed) {
    return Status::Unavailable("the keeper is gone");
  }
  if (in.packet.fd_lost) {
    return Status::LimitExceeded("a descriptor from the keeper was lost: too many are open");
  }
  if (in.packet.arrival == os::Arrival::kPacket &&
      (in.packet.bytes != sizeof in.message || in.message.version != kKeeperProtocolVersion)) {
    return Status::Protocol(
        fmt::format("the keeper speaks version {} of its protocol, this engine {}: end the "
                    "instance and start it "
                    "again",
                    in.message.version, kKeeperProtocolVersion));
  }
  return in;
}

Result<Incoming> ReceiveWaiting(const os::UniqueFd& socket) {
  while (true) {
    VY_ASSIGN_OR_RETURN(Incoming in, Receive(socket));
    if (in.packet.arrival == os::Arrival::kPacket) return in;
    const Status ready =
        os::WaitReady(socket, os::Readiness::kRead, os::Clock::now() + std::chrono::hours(1), {});
    if (!ready.ok() && !ready.Is(StatusCode::kDeadlineExceeded)) return ready;
  }
}

Status DescribeTrial(TrialOutcome outcome, uint64_t detail) {
  const auto refused = [](const std::string& why) {
    return Status::FailedPrecondition(
        fmt::format("the program that would be started next {}; the engine that runs goes on, and "
                    "the instance's log "
                    "may say more",
                    why));
  };
  switch (outcome) {
    case TrialOutcome::kGood: return {};
    case TrialOutcome::kBusy: return Status::FailedPrecondition("another upgrade is under way");
    case TrialOutcome::kNotStarted: return refused("could not be started");
    case TrialOutcome::kExited:
      return refused(detail == 127 ? "is not there, or cannot be run"
                                   : fmt::format("ended its trial with exit code {}", detail));
    case TrialOutcome::kKilled: return refused(fmt::format("ended its trial by signal {}", detail));
    case TrialOutcome::kSlow: return refused("did not end its trial in time");
    case TrialOutcome::kSilent: return refused("did not say what it can take over");
    case TrialOutcome::kOtherProtocol:
      return refused(fmt::format("speaks version {} of the keeper's protocol, and the keeper {}",
                                 detail, kKeeperProtocolVersion));
    case TrialOutcome::kOtherCatalog:
      return refused(fmt::format("does not read catalogs of version {}", detail));
    case TrialOutcome::kOtherLedger:
      return refused(fmt::format("does not read ledgers of version {}", detail));
  }
  return refused("failed its trial");
}

int Watch(const os::UniqueFd& socket) {
  auto copy = socket.Duplicate();
  return copy.ok() ? copy->Release() : -1;
}

}  // namespace

Result<Inventory> KeeperLink::ReceiveInventory(const os::UniqueFd& socket) {
  VY_ASSIGN_OR_RETURN(const Incoming hello, ReceiveWaiting(socket));
  if (hello.message.op != KeeperOp::kHello) {
    return Status::Protocol("the keeper did not begin with a greeting");
  }
  Inventory inventory;
  inventory.generation = hello.message.a;
  inventory.start = static_cast<KeeperStart>(hello.message.b);
  inventory.instance[0] = hello.message.c;
  inventory.instance[1] = hello.message.d;
  inventory.keeper_descriptors = hello.message.e;
  inventory.former_program = hello.message.f != 0;
  while (true) {
    VY_ASSIGN_OR_RETURN(Incoming in, ReceiveWaiting(socket));
    if (in.message.op == KeeperOp::kInventoryEnd) {
      inventory.on_probation = in.message.b != 0;
      if (in.message.a == inventory.items.size()) return inventory;
      return Status::Protocol(fmt::format("the keeper sent {} things, but {} have come",
                                          in.message.a, inventory.items.size()));
    }
    if (in.message.op != KeeperOp::kItem || !in.packet.fd.valid()) {
      return Status::Protocol("the keeper sent something else than the things it holds");
    }
    inventory.items.push_back({in.message, std::move(in.packet.fd)});
  }
}

KeeperLink::KeeperLink(asio::io_context& io, os::UniqueFd socket, Done on_lost)
    : socket_(std::move(socket)), watched_(io), retry_(io), on_lost_(std::move(on_lost)) {
  asio::error_code failed;
  watched_.assign(Watch(socket_), failed);
  if (failed) {
    Lose();
  } else {
    WaitReadable();
  }
}

Result<bool> KeeperLink::Hold(const KeeperMessage& what, int fd, Answer on_held) {
  KeeperMessage message = what;
  message.version = kKeeperProtocolVersion;
  message.op = KeeperOp::kHold;
  message.sequence = on_held ? ++last_sequence_ : 0;
  VY_ASSIGN_OR_RETURN(const bool sent, Send(message, fd));
  if (on_held) answers_.emplace(message.sequence, std::move(on_held));
  return sent;
}

void KeeperLink::Drop(KeptKind kind, uint64_t a, uint64_t b, Done on_dropped) {
  KeeperMessage message{.op = KeeperOp::kDrop, .kind = kind, .a = a, .b = b};
  if (on_dropped) {
    message.sequence = ++last_sequence_;
    answers_.emplace(message.sequence, [done = std::move(on_dropped)](const Status&) { done(); });
  }
  // Without a descriptor it fails only when the keeper is gone, and on_lost tells that.
  Send(message, -1).status().IgnoreError();
}

void KeeperLink::Ready() {
  KeeperMessage message{.op = KeeperOp::kReady};
  message.a = layout::kCatalogVersion;
  message.b = layout::kLedgerVersion;
  Send(message, -1).status().IgnoreError();
}

void KeeperLink::TryProgram(Answer on_tried) {
  KeeperMessage message{.op = KeeperOp::kTry};
  message.sequence = ++last_sequence_;
  answers_.emplace(message.sequence, std::move(on_tried));
  Send(message, -1).status().IgnoreError();
}

void KeeperLink::Stop() { Send({.op = KeeperOp::kStop}, -1).status().IgnoreError(); }

void KeeperLink::WhenFlushed(Done callback) {
  if (Flushed()) {
    callback();
  } else {
    when_flushed_.push_back({queued_, std::move(callback)});
  }
}

Result<bool> KeeperLink::Send(const KeeperMessage& message, int fd) {
  if (lost_) return Status::Unavailable("the keeper is gone");
  if (queue_.empty()) {
    auto sent = os::SendPacket(socket_, std::as_bytes(std::span(&message, 1)), fd);
    if (!sent.ok()) {
      if (sent.status().Is(StatusCode::kUnavailable)) Lose();
      return std::move(sent).status();
    }
    if (*sent == os::Sent::kSent) return true;
  }
  Queued queued{message, {}};
  if (fd >= 0) {
    VY_ASSIGN_OR_RETURN(queued.fd, os::DuplicateFd(fd));
  }
  queue_.push_back(std::move(queued));
  ++queued_;
  WaitWritable();
  return false;
}

void KeeperLink::Flush() {
  while (!lost_ && !queue_.empty()) {
    const Queued& next = queue_.front();
    auto sent = os::SendPacket(socket_, std::as_bytes(std::span(&next.message, 1)), next.fd.get());
    if (!sent.ok()) {
      Lose();
      return;
    }
    if (*sent == os::Sent::kFull) {
      WaitWritable();
      break;
    }
    if (*sent == os::Sent::kBusy) {
      waiting_to_send_ = true;
      retry_.expires_after(kBusyPause);
      retry_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code&) {
        if (alive.expired()) return;
        waiting_to_send_ = false;
        Flush();
      });
      break;
    }
    queue_.pop_front();
    ++flushed_;
  }
  CallFlushed();
}

// Callbacks may say more, and ask to be called again.
void KeeperLink::CallFlushed() {
  const std::weak_ptr<int> alive = alive_;
  while (!alive.expired() && !when_flushed_.empty() && when_flushed_.front().position <= flushed_) {
    const Done callback = std::move(when_flushed_.front().callback);
    when_flushed_.pop_front();
    callback();
  }
}

void KeeperLink::WaitWritable() {
  if (waiting_to_send_) return;
  waiting_to_send_ = true;
  watched_.async_wait(asio::posix::stream_descriptor::wait_write,
                      [this, alive = std::weak_ptr(alive_)](const asio::error_code&) {
                        if (alive.expired()) return;
                        waiting_to_send_ = false;
                        Flush();
                      });
}

void KeeperLink::WaitReadable() {
  watched_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, alive = std::weak_ptr(alive_)](const asio::error_code&) {
                        if (!alive.expired()) ReadAll();
                      });
}

void KeeperLink::ReadAll() {
  const std::weak_ptr<int> alive = alive_;
  while (!lost_) {
    auto in = Receive(socket_);
    if (!in.ok()) {
      Lose();
      return;
    }
    if (in->packet.arrival == os::Arrival::kNothing) {
      WaitReadable();
      return;
    }
    HandleAnswer(in->message);
    if (alive.expired()) return;
  }
}

void KeeperLink::HandleAnswer(const KeeperMessage& message) {
  if (message.op == KeeperOp::kSettled) settled_ = true;
  if (message.op != KeeperOp::kHeld && message.op != KeeperOp::kDropped &&
      message.op != KeeperOp::kTried) {
    return;
  }
  auto found = answers_.extract(message.sequence);
  if (found.empty()) return;
  if (message.op == KeeperOp::kTried) {
    return found.mapped()(DescribeTrial(static_cast<TrialOutcome>(message.c), message.d));
  }
  const auto code = static_cast<StatusCode>(message.c);
  found.mapped()(code == StatusCode::kOk ? Status() : Status(code, "the keeper could not hold it"));
}

void KeeperLink::Lose() {
  if (lost_) return;
  lost_ = true;
  queue_.clear();
  when_flushed_.clear();
  answers_.clear();
  asio::post(watched_.get_executor(), [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_lost_();
  });
}

}  // namespace vineyard::daemon
