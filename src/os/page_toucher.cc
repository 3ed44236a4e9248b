// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Note [Touching apart]
//
// MADV_POPULATE_WRITE holds its process's mmap lock for reading while it zeroes pages. A thread of the same
// process that wants to map something waits for it, for 4 ms even where the pages are asked for 2 MiB at
// a time, as the kernel hands a contended lock over no sooner. With two busy programs on two processors
// the median wait was 8 ms with the populating thread at nice 10, and 360 ms with it in SCHED_IDLE: it was put aside
// with the lock in its hand. At an ordinary priority it takes half a processor from those who use it.
// A process has a lock of its own, so it may have the lowest priority and delay nobody.
//
// Note [Out of the way]
//
// The kernel zeroes a huge page of shared memory without letting go of the processor: 60 microseconds, but
// more than a millisecond where a virtual machine's host has to find that memory first. It takes a
// processor that runs a SCHED_IDLE process for a free one, and lets whoever awakes there wait. So the
// process pauses while somebody talks to the engine: until kQuiet after the last time, yet at most
// kPatience for each kShare. For kNear after that time it rests kRest times as long as each page took, so
// that whoever wakes again is unlikely to meet it: the first get of 64 MiB after a put took 60 microseconds
// where it did not rest, 37 where it does, and a process that copies has more of both processors.
#include "os/page_toucher.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <new>
#include <thread>

#include "os/memfd.h"
#include "os/packet.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/socket.h"

namespace vineyard::os {

namespace {

struct Order {
  uint64_t size = 0;
};
struct Report {
  int32_t code = 0;  // a StatusCode
};

void CloseAllBut(int kept) {
  const auto close_range = [](unsigned first, unsigned last) {
    ::syscall(SYS_close_range, first, last, 0);
  };
  const auto number = static_cast<unsigned>(kept);
  if (number > 0) close_range(0, number - 1);
  close_range(number + 1, ~0U);
}

constexpr std::chrono::milliseconds kQuiet{5};
constexpr std::chrono::milliseconds kPatience{50};
constexpr std::chrono::milliseconds kNear{200};
constexpr int kRest = 5;
constexpr std::chrono::milliseconds kLongestRest{2};  // it may have been put aside meanwhile
constexpr uint64_t kShare = uint64_t{16} << 20;

// False: it did not within kPatience.
bool BecomesQuiet(const std::atomic<Clock::rep>& activity) {
  const TimePoint latest = Clock::now() + kPatience;
  for (TimePoint now = Clock::now(); now < latest; now = Clock::now()) {
    const TimePoint last{Clock::duration(activity.load(std::memory_order_relaxed))};
    if (now >= last + kQuiet) return true;
    std::this_thread::sleep_until(std::min(last + kQuiet, latest));
  }
  return false;
}

Status TouchHere(const UniqueFd& file, uint64_t size, const std::atomic<Clock::rep>& activity) {
  VY_ASSIGN_OR_RETURN(Mapping mapping, Mapping::Open(file, size, Access::kReadWrite));
  uint64_t share = 0;
  for (uint64_t done = 0; done < size; done += kHugePage) {
    const uint64_t step = std::min(kHugePage, size - done);
    if (share > 0) {
      share -= step;
    } else if (!BecomesQuiet(activity)) {
      share = kShare;
    }
    const TimePoint begun = Clock::now();
    VY_RETURN_IF_ERROR(mapping.Populate(Access::kReadWrite, done, step));
    const TimePoint end = Clock::now();
    const TimePoint last{Clock::duration(activity.load(std::memory_order_relaxed))};
    if (end < last + kNear) {
      std::this_thread::sleep_for(std::min<Clock::duration>(kRest * (end - begun), kLongestRest));
    }
  }
  return {};
}

}  // namespace

void PageToucher::Serve(const UniqueFd& socket, const Activity& activity) {
  while (true) {
    Order order;
    auto packet = ReceivePacket(socket, std::as_writable_bytes(std::span(&order, 1)));
    if (packet.ok() && packet->arrival == Arrival::kNothing) {
      if (!WaitReady(socket, Readiness::kRead, TimePoint::max(), {}).ok()) ::_exit(1);
      continue;
    }
    if (!packet.ok() || packet->arrival == Arrival::kClosed) ::_exit(0);
    Report report;
    const Status done = packet->fd.valid() ? TouchHere(packet->fd, order.size, activity)
                                           : Status::LimitExceeded("no descriptor came");
    report.code = static_cast<int32_t>(done.code());
    packet->fd
        .Reset();  // before the report: who hears it may close its own, and count that memory as free
    const auto bytes = std::as_bytes(std::span(&report, 1));
    if (!SendPacket(socket, bytes, -1).ok()) ::_exit(0);
  }
}

Result<std::unique_ptr<PageToucher>> PageToucher::Start(Confined confined) {
  VY_ASSIGN_OR_RETURN(auto pair, PacketPair());
  VY_ASSIGN_OR_RETURN(const UniqueFd file, CreateMemfd("vineyard-activity", PageSize()));
  VY_ASSIGN_OR_RETURN(Mapping shared, Mapping::Open(file, PageSize(), Access::kReadWrite));
  auto* activity = ::new (shared.data()) Activity(0);
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus("cannot start a process");
  if (child == 0) {
    DieWithParent();
    CloseAllBut(pair.second.get());
    FillStandardDescriptors();
    ::prctl(PR_SET_NAME, "vineyard-pages");
    // A terminal's Ctrl-C, and a stop of the whole group, go to the parent, which ends this one.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_IDLE, &none);
    SandboxReport report;
    if (confined == Confined::kYes && !RestrictCallsOfPageToucher(&report).ok()) ::_exit(1);
    Serve(pair.second, *activity);
  }
  return std::unique_ptr<PageToucher>(
      new PageToucher(std::move(pair.first), child, std::move(shared), activity));
}

PageToucher::~PageToucher() {
  ::kill(child_, SIGKILL);
  Reap(child_).status().IgnoreError();
}

void PageToucher::Stop() { Shutdown(socket_); }

Status PageToucher::Touch(const UniqueFd& file, uint64_t size) {
  const Order order{size};
  VY_ASSIGN_OR_RETURN(const Sent sent,
                      SendPacket(socket_, std::as_bytes(std::span(&order, 1)), file.get()));
  if (sent != Sent::kSent) return Status::LimitExceeded("too many descriptors are on their way");
  while (true) {
    Report report;
    VY_ASSIGN_OR_RETURN(Packet packet,
                        ReceivePacket(socket_, std::as_writable_bytes(std::span(&report, 1))));
    if (packet.arrival == Arrival::kClosed) {
      return Status::Unavailable("the process that touches pages has ended");
    }
    if (packet.arrival == Arrival::kNothing) {
      VY_RETURN_IF_ERROR(WaitReady(socket_, Readiness::kRead, TimePoint::max(), {}));
      continue;
    }
    const auto code = static_cast<StatusCode>(report.code);
    if (code == StatusCode::kOk) return {};
    if (code == StatusCode::kOutOfMemory) {
      return Status::OutOfMemory("the machine (or this control group) has no pages left");
    }
    return {code, "the process that touches pages could not"};
  }
}

}  // namespace vineyard::os
