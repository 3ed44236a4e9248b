// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// PageToucher: a process that makes the pages of memory files present when nothing else wants the processor.
//
// Why a process, and not a thread: Note [Touching apart] in page_toucher.cc. It is a child of the process
// that starts it, is charged to the same control group, ends with it, and keeps nothing that it was sent.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "os/fd.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::os {

/// Whether the process gives up its system calls too (sandbox.h); the rest it inherits.
enum class Confined { kNo, kYes };

class PageToucher {
 public:
  /// REQUIRES: this process has one thread. The child closes every descriptor but its own socket.
  static Result<std::unique_ptr<PageToucher>> Start(Confined confined = Confined::kNo);
  /// Ends the process and waits for its end.
  ~PageToucher();
  PageToucher(const PageToucher&) = delete;
  PageToucher& operator=(const PageToucher&) = delete;

  /// Makes all pages of a memory file present and zero, in huge pages where the kernel has them. Blocks
  /// until that is done, which may be long where others keep the processor busy. One thread at a time.
  /// kOutOfMemory when the machine has no pages left; kUnavailable when the process has ended.
  Status Touch(const UniqueFd& file, uint64_t size);
  /// From any thread: a Touch that waits, and all later ones, end with kUnavailable.
  void Stop();
  /// From any thread: others are at work, and should not meet it. It pauses for some milliseconds, but
  /// not for ever: see Note [Out of the way].
  void NoteActivity(TimePoint now) {
    activity_->store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }

  [[nodiscard]] pid_t pid() const { return child_; }

 private:
  // When there was activity last; both processes map it.
  using Activity = std::atomic<Clock::rep>;
  PageToucher(UniqueFd socket, pid_t child, Mapping shared, Activity* activity)
      : socket_(std::move(socket)), child_(child), shared_(std::move(shared)), activity_(activity) {
  }
  [[noreturn]] static void Serve(const UniqueFd& socket, const Activity& activity);

  UniqueFd socket_;
  pid_t child_;
  Mapping shared_;
  Activity* activity_;
};

}  // namespace vineyard::os
