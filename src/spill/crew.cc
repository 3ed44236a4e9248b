// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/crew.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "os/process.h"
#include "spill/format.h"

namespace vineyard::spill {

namespace {

// Jobs of one urgency that share the threads. Each has a file open.
constexpr size_t kAtOnce = 4;

Status CalledOff() { return Status::Cancelled("the transfer to or from the disk was called off"); }

}  // namespace

Result<std::unique_ptr<Crew>> Crew::Start(Options options) {
  std::unique_ptr<Crew> crew(new Crew());
  const unsigned threads = std::max(options.threads, 2U);
  for (unsigned i = 0; i < threads; ++i) {
    VY_ASSIGN_OR_RETURN(os::DiskBuffer buffer, os::DiskBuffer::Make(kBlock));
    crew->buffers_.push_back(std::move(buffer));
  }
  const os::SignalsBlocked blocked;
  try {
    for (unsigned i = 0; i < threads; ++i) {
      crew->threads_.emplace_back([crew = crew.get(), i] { crew->Work(i); });
    }
  } catch (const std::system_error& e) {
    return Status::LimitExceeded(std::string("no threads for the disk: ") + e.what());
  }
  return crew;
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Queue& queue : queues_) {
      for (const auto& job : queue.waiting) job->Cancel();
      for (const auto& job : queue.begun) job->Cancel();
    }
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::Add(std::shared_ptr<Job> job, Urgency urgency) {
  {
    const std::lock_guard lock(mutex_);
    QueueOf(urgency).waiting.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Crew::Work(size_t number) {
  const std::span<std::byte> scratch = buffers_[number].bytes();
  std::unique_lock lock(mutex_);
  while (true) {
    const std::optional<Turn> turn = Take(number);
    if (turn && turn->piece) {
      DoPiece(lock, *turn, scratch);
    } else if (turn) {
      Begin(lock, *turn);
    } else if (stopping_) {
      return;
    } else {
      wake_.wait(lock);
    }
  }
}

std::optional<Crew::Turn> Crew::Take(size_t number) {
  const bool writes_first = number == 0;
  const Urgency first = writes_first ? Urgency::kWrite : Urgency::kRead;
  const Urgency second = writes_first ? Urgency::kRead : Urgency::kWrite;
  for (const Urgency urgency : {first, second, Urgency::kCheck}) {
    if (std::optional<Turn> turn = TakeOf(urgency)) {
      ++QueueOf(urgency).in_hand;
      return turn;
    }
  }
  return std::nullopt;
}

std::optional<Crew::Turn> Crew::TakeOf(Urgency urgency) {
  Queue& queue = QueueOf(urgency);
  if (urgency == Urgency::kCheck && queue.in_hand > 0) return std::nullopt;
  if (!queue.waiting.empty() && queue.begun.size() + queue.beginning < kAtOnce) {
    Turn turn{.job = std::move(queue.waiting.front()), .urgency = urgency};
    queue.waiting.pop_front();
    ++queue.beginning;
    return turn;
  }
  if (queue.begun.empty()) return std::nullopt;
  Turn turn{.job = std::move(queue.begun.front()), .urgency = urgency};
  queue.begun.pop_front();
  Job& job = *turn.job;
  turn.piece = job.next_++;
  ++job.in_hand_;
  if (job.next_ < job.pieces_) queue.begun.push_back(turn.job);
  return turn;
}

void Crew::Begin(std::unique_lock<std::mutex>& lock, const Turn& turn) {
  Job& job = *turn.job;
  lock.unlock();
  Result<uint64_t> pieces = CalledOff();
  if (!job.cancelled_.load(std::memory_order_relaxed)) pieces = job.Begin();
  if (!pieces.ok() || *pieces == 0) job.End(pieces.status());
  lock.lock();
  Queue& queue = QueueOf(turn.urgency);
  --queue.beginning;
  --queue.in_hand;
  if (pieces.ok() && *pieces > 0) {
    if (stopping_) job.Cancel();
    job.pieces_ = *pieces;
    queue.begun.push_back(turn.job);
  }
  wake_.notify_all();
}

void Crew::DoPiece(std::unique_lock<std::mutex>& lock, const Turn& turn,
                   std::span<std::byte> scratch) {
  Job& job = *turn.job;
  lock.unlock();
  Status done =
      job.cancelled_.load(std::memory_order_relaxed) ? CalledOff() : job.Do(*turn.piece, scratch);
  lock.lock();
  --job.in_hand_;
  --QueueOf(turn.urgency).in_hand;
  if (!done.ok()) {
    std::erase(QueueOf(turn.urgency).begun, turn.job);
    Fail(job, std::move(done), *turn.piece);
  }
  if (job.in_hand_ > 0 || job.next_ < job.pieces_) return;
  Status end = std::move(job.failure_);
  lock.unlock();
  job.End(std::move(end));
  lock.lock();
}

// No more pieces are given out. Of several failures that of the first piece is told.
void Crew::Fail(Job& job, Status why, uint64_t piece) {
  job.next_ = job.pieces_;
  if (!job.failure_.ok() && job.failed_piece_ < piece) return;
  job.failure_ = std::move(why);
  job.failed_piece_ = piece;
}

}  // namespace vineyard::spill
