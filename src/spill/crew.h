// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Crew: the threads that touch the disk. Each has a buffer of one block, made with it: what is spilled
// because memory is short needs no more of it.
//
// A job is cut into pieces, a block each, that any thread may do. Jobs of one urgency share the threads
// piece by piece, so that a small one does not wait behind a large one; reading goes before writing (a
// client waits for it, and it has its memory already), but for one thread, which writes first, so that
// nothing can keep memory from being freed; checking what nobody has asked for takes one thread, when there
// is nothing else to do.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "os/disk_file.h"
#include "vineyard/status.h"

namespace vineyard::spill {

enum class Urgency : uint8_t { kRead, kWrite, kCheck };

/// All its functions are called by threads of the crew. Shared: the crew has it until it has ended, and
/// whoever asked for it may call it off.
class Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  /// It ends with kCancelled, soon, unless all its pieces are done by then. Any thread.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

 protected:
  /// Called once, before all others. How many pieces there are.
  virtual Result<uint64_t> Begin() = 0;
  /// Each piece once, several at a time, until one fails.
  virtual Status Do(uint64_t piece, std::span<std::byte> scratch) = 0;
  /// Called once, after all others: OK, or why it failed.
  virtual void End(Status status) = 0;

 private:
  friend class Crew;
  std::atomic<bool> cancelled_ = false;
  // The crew's, under its mutex.
  uint64_t next_ = 0;
  uint64_t pieces_ = 0;
  uint64_t in_hand_ = 0;
  uint64_t failed_piece_ = 0;
  Status failure_;
};

class Crew {
 public:
  struct Options {
    unsigned threads = 8;  // at least 2: one more than what reading may take
  };
  /// kOutOfMemory or kLimitExceeded when there is no memory for a buffer, or no thread.
  static Result<std::unique_ptr<Crew>> Start(Options options);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  /// Calls all jobs off, and returns when they have ended.
  ~Crew();

  void Add(std::shared_ptr<Job> job, Urgency urgency);

 private:
  struct Queue {
    std::deque<std::shared_ptr<Job>> waiting;
    std::deque<std::shared_ptr<Job>> begun;  // that have pieces left
    size_t beginning = 0;
    size_t in_hand = 0;  // threads that do something of it
  };
  struct Turn {
    std::shared_ptr<Job> job;
    Urgency urgency{};
    std::optional<uint64_t> piece;  // none: it is to begin
  };

  Crew() = default;
  void Work(size_t number);
  std::optional<Turn> Take(size_t number);
  std::optional<Turn> TakeOf(Urgency urgency);
  void Begin(std::unique_lock<std::mutex>& lock, const Turn& turn);
  void DoPiece(std::unique_lock<std::mutex>& lock, const Turn& turn, std::span<std::byte> scratch);
  void Fail(Job& job, Status why, uint64_t piece);
  Queue& QueueOf(Urgency urgency) { return queues_[static_cast<size_t>(urgency)]; }

  std::vector<os::DiskBuffer> buffers_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::array<Queue, 3> queues_;
  bool stopping_ = false;
};

}  // namespace vineyard::spill
