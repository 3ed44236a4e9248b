// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/connection.h"

#include <algorithm>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "os/process.h"

namespace vineyard::client {

Connection::Connection(ConnectOptions options, std::string pod)
    : options_(std::move(options)), pod_(std::move(pod)), program_(os::ProgramOfThisProcess()),
      trace_(RequestTrace::OfProcess().ok() ? *RequestTrace::OfProcess() : nullptr) {
  std::random_device random;
  for (uint64_t& half : token_) half = uint64_t{random()} << 32 | random();
}

Connection::~Connection() { Close(); }

void Connection::Close() {
  if (closed_.exchange(true)) return;
  extents_.DropIdle();
  const Outgoing goodbye = Question(fb::RequestBody::Goodbye,
                                    [](auto& b, uint64_t) { return fb::CreateGoodbye(b).Union(); });
  const Lock lock(mutex_);
  if (!broken_) TrySend(goodbye);
  ring_.reset();
  RetireSocket(reading_ || connecting_ || sending_);
  broken_ = true;
  changed_.notify_all();
  const std::lock_guard reader_lock(reader_mutex_);
  catalog_.Close();
}

// Nothing may be locked here: a thread that the child does not have may have held it. The socket's
// descriptor is closed so that the parent's end is seen; all else is left as it lies.
void Connection::Abandon() {
  closed_ = true;
  socket_.Reset();
}

Status Connection::CheckUsable() const {
  if (closed_) return Status::FailedPrecondition("this client has been closed");
  return {};
}

// ---- calls

// Until another thread has read something or connected, or time to ask whether to go on waiting. REQUIRES: mutex_
// held by `lock`; it is not while `interrupted` is asked.
Status Connection::WaitForChange(Lock& lock, os::TimePoint deadline) {
  constexpr std::chrono::milliseconds kSlice{100};
  PublishRing();
  const bool ask = static_cast<bool>(options_.interrupted);
  const auto until = ask ? std::min(deadline, os::Clock::now() + kSlice) : deadline;
  if (changed_.wait_until(lock, until) == std::cv_status::no_timeout) return {};
  if (ask) {
    lock.unlock();
    const bool interrupted = options_.interrupted();
    lock.lock();
    if (interrupted) return Status::Cancelled("interrupted");
  }
  if (os::Clock::now() < deadline) return {};
  return Status::DeadlineExceeded("no answer in the time given");
}

// The instance keeps the answer to request n where that to n - window lay: n must wait until this
// client has that one. A number whose place is still needed is passed over.
Result<uint64_t> Connection::TakeNumber(Lock& lock, os::TimePoint deadline) {
  while (unanswered_.size() >= window_) {
    // Those whose answers these are may be busy with something else: who streams calls need not wait.
    const Status s = broken_    ? Reconnect(lock, deadline)
                     : reading_ ? WaitForChange(lock, deadline)
                                : ReadOnce(lock, deadline);
    if (s.Is(StatusCode::kUnavailable) && !broken_) {
      broken_ = true;
      continue;
    }
    VY_RETURN_IF_ERROR(s);
    VY_RETURN_IF_ERROR(CheckUsable());
  }
  const auto in_use = [this](uint64_t number) {
    if (unanswered_.empty() || number - *unanswered_.begin() < window_) return false;
    return std::ranges::any_of(unanswered_,
                               [&](uint64_t n) { return n % window_ == number % window_; });
  };
  while (in_use(next_number_)) ++next_number_;
  unanswered_.insert(next_number_);
  return next_number_++;
}

// Puts the request on its way. REQUIRES: mutex_ held by `lock`.
Status Connection::Begin(Lock& lock, Pending& pending, os::TimePoint deadline) {
  VY_RETURN_IF_ERROR(CheckUsable());
  pending.id = next_id_++;
  if (trace_ != nullptr) pending.begun = os::Clock::now();
  if (pending.outgoing->changing) {
    VY_ASSIGN_OR_RETURN(pending.number, TakeNumber(lock, deadline));
  }
  Status s = AwaitTurn(lock, deadline);
  if (s.ok()) {
    TellReleased(lock, deadline);
    TellGivenBack();
    s = AwaitTurn(lock, deadline);
  }
  List(pending);
  return s.ok() ? SendFrame(&lock, *pending.outgoing, pending.id, pending.number, deadline) : s;
}

// Until the connection works and nobody is half-way through a frame. REQUIRES: mutex_ held by `lock`; it is not while
// this waits.
Status Connection::AwaitTurn(Lock& lock, os::TimePoint deadline) {
  while (true) {
    VY_RETURN_IF_ERROR(AwaitEndOfFrame(lock, deadline));
    VY_RETURN_IF_ERROR(CheckUsable());
    if (!broken_) return {};
    VY_RETURN_IF_ERROR(Reconnect(lock, deadline));
    if (!sending_) return {};
  }
}

void Connection::List(Pending& pending) {
  pending.place = pending_.insert(pending_.end(), &pending);
  pending.listed = true;
}

// Waits for the answer. `s`: how Begin ended; what it has not put on its way gets none.
Result<Answer> Connection::Await(Lock& lock, Pending& pending, Status s, os::TimePoint deadline) {
  while (pending.listed && !pending.done) {
    // Broken, perhaps, by another thread that gave up half-way.
    if (s.Is(StatusCode::kUnavailable) || (s.ok() && broken_)) {
      broken_ = true;
      s = Reconnect(lock, deadline);
    }
    if (!s.ok()) break;
    if (closed_) {
      s = Status::Cancelled("this client was closed meanwhile");
      break;
    }
    s = reading_ ? WaitForChange(lock, deadline) : ReadOnce(lock, deadline);
  }
  if (pending.listed) pending_.erase(pending.place);
  unanswered_.erase(pending.number);
  changed_.notify_all();
  if (trace_ != nullptr) NoteInTrace(pending, pending.done ? pending.status.code() : s.code());
  if (!pending.done) {
    if (s.Is(StatusCode::kProtocol) || s.Is(StatusCode::kIOError)) broken_ = true;
    if (pending.listed && !broken_ && !closed_) SendCancel(pending.id);
    return s.Is(StatusCode::kDeadlineExceeded) ? NameRequest(s, pending) : s;
  }
  if (!pending.status.ok()) return pending.status;
  return std::move(pending.answer);
}

// REQUIRES: mutex_ held.
void Connection::NoteInTrace(const Pending& pending, StatusCode code) const {
  const auto took = os::Clock::now() - pending.begun;
  const auto begun = std::chrono::system_clock::now() - took;
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(begun.time_since_epoch());
  trace_->Note({.client = facts_.client,
                .request_id = pending.id,
                .kind = pending.outgoing->type,
                .begun_unix_ns = since.count(),
                .took = took,
                .code = code});
}

// As `vineyardctl trace` names it. REQUIRES: mutex_ held.
Status Connection::NameRequest(const Status& status, const Pending& pending) const {
  if (facts_.client == 0) return status;
  return {status.code(),
          fmt::format("{} (request {}#{})", status.message(), facts_.client, pending.id)};
}

Result<Answer> Connection::Call(const Outgoing& outgoing, os::TimePoint deadline) {
  Lock lock(mutex_);
  VY_RETURN_IF_ERROR(ConsiderRing(lock, deadline));
  Pending pending{.outgoing = &outgoing, .status = {}, .answer = {}};
  return Await(lock, pending, Begin(lock, pending, deadline), deadline);
}

// The instance need not go on waiting for what nobody wants any more. REQUIRES: mutex_ held.
void Connection::SendCancel(uint64_t id) {
  const Outgoing cancel = Question(
      fb::RequestBody::Cancel, [id](auto& b, uint64_t) { return fb::CreateCancel(b, id).Union(); });
  TrySend(cancel);
}

void Connection::Tell(const Outgoing& outgoing) {
  const Lock lock(mutex_);
  if (!closed_ && !broken_) TrySend(outgoing);
}

// Goes along with the next request, so that the instance does not believe for ever that they are mapped.
// REQUIRES: mutex_ held by `lock`; it is not while this waits.
void Connection::TellReleased(Lock& lock, os::TimePoint deadline) {
  const std::vector<uint64_t> ids = extents_.TakeReleased();
  if (ids.empty()) return;
  const Outgoing released = Question(fb::RequestBody::Released, [&ids](auto& b, uint64_t) {
    return fb::CreateReleased(b, b.CreateVector(ids)).Union();
  });
  SendFrame(&lock, released, 0, 0, deadline)
      .IgnoreError();  // the request that follows meets the same failure
}

// ---- what this client holds

void Connection::RemoveReservation(uint64_t blob) {
  const Lock lock(mutex_);
  reservations_.erase(blob);
}

void Connection::NotePinned(std::span<const ObjectId> ids) {
  const Lock lock(mutex_);
  for (const ObjectId id : ids) pinned_.insert(id.value());
  if (pinned_.size() < next_pin_sweep_) return;
  // Others may have deleted what it has pinned.
  std::erase_if(pinned_, [this](uint64_t id) { return !MayBeStored(ObjectId(id)); });
  next_pin_sweep_ = pinned_.size() * 2 + kPinsUnswept;
}

void Connection::NoteUnpinned(std::span<const ObjectId> ids) {
  const Lock lock(mutex_);
  for (const ObjectId id : ids) pinned_.erase(id.value());
}

// A thread that holds the lock may be waiting for the very thread that is here, or be it.
void Connection::GiveBack(ObjectId blob) {
  constexpr int kAttempts = 100;
  constexpr std::chrono::microseconds kPause{100};
  NoteGivenBack(blob.value());
  for (int i = 0; i < kAttempts; ++i) {
    if (const Lock lock(mutex_, std::try_to_lock); lock.owns_lock()) return TellGivenBack();
    std::this_thread::sleep_for(kPause);
  }
}

void Connection::NoteGivenBack(uint64_t blob) {
  const std::lock_guard lock(given_back_mutex_);
  given_back_.push_back(blob);
  any_given_back_ = true;
}

// What can't be said now goes with the next request. REQUIRES: mutex_ held.
void Connection::TellGivenBack() {
  if (!any_given_back_ || sending_) return;
  std::vector<uint64_t> blobs;
  {
    const std::lock_guard lock(given_back_mutex_);
    any_given_back_ = false;
    blobs.swap(given_back_);
  }
  for (const uint64_t blob : blobs) {
    // What is no reservation any more was another instance's. What is not told now is not claimed later.
    if (reservations_.erase(blob) == 0 || closed_ || broken_) continue;
    const Outgoing abort = Question(fb::RequestBody::Abort, [blob](auto& b, uint64_t) {
      return fb::CreateAbort(b, blob).Union();
    });
    TrySend(abort);
  }
}

Connection::Facts Connection::facts() const {
  const Lock lock(mutex_);
  return facts_;
}

}  // namespace vineyard::client
