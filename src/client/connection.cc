// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/connection.h"

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "os/memfd.h"

namespace vineyard::client {

namespace {

constexpr std::array<std::byte, 8> kPadding{};
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{50};

iovec Part(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

Connection::Connection(ConnectOptions options, std::string pod)
    : options_(std::move(options)), pod_(std::move(pod)) {
  std::random_device random;
  for (uint64_t& half : token_) half = uint64_t{random()} << 32 | random();
}

Connection::~Connection() { Close(); }

Status Connection::Open(os::TimePoint deadline) {
  const auto give_up = std::min(deadline, os::Clock::now() + options_.wait_for_instance);
  auto pause = kFirstPause;
  while (true) {
    Status s;
    {
      const Lock lock(mutex_);
      s = Reconnect(deadline);
    }
    if (!s.Is(StatusCode::kUnavailable) || os::Clock::now() + pause >= give_up) return s;
    if (options_.interrupted && options_.interrupted()) return Status::Cancelled("interrupted");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

void Connection::Close() {
  if (closed_.exchange(true)) return;
  const Outgoing goodbye{.body = [](auto& b, uint64_t) { return fb::CreateGoodbye(b).Union(); },
                         .type = fb::RequestBody::Goodbye,
                         .payload = {}};
  const Lock lock(mutex_);
  if (!broken_) SendFrame(goodbye, 0, 0, os::Clock::now()).IgnoreError();
  RetireSocket();
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

// ---- connecting

// REQUIRES: mutex_ held. Leaves the connection working, or says why it can't.
Status Connection::Reconnect(os::TimePoint deadline) {
  auto pause = kFirstPause;
  while (true) {
    VY_RETURN_IF_ERROR(CheckUsable());
    auto socket = os::ConnectUnix(options_.socket);
    const bool queue_is_full = socket.status().Is(StatusCode::kDeadlineExceeded);
    // Nobody listens: the keeper is gone too, and with it everything.
    if (!socket.ok() && !queue_is_full) return socket.status();
    if (socket.ok()) {
      RetireSocket();
      socket_ = std::move(*socket);
      reader_ = {};
      received_fds_.clear();
      Status s = SayHello(deadline);
      if (s.ok()) s = SendPending(deadline);
      if (s.ok()) {
        broken_ = false;
        return s;
      }
      // An engine that died under us is replaced; any other refusal is final.
      if (!s.Is(StatusCode::kUnavailable)) return s;
    }
    if (options_.interrupted && options_.interrupted()) return Status::Cancelled("interrupted");
    if (os::Clock::now() + pause >= deadline) {
      return Status::DeadlineExceeded(
          fmt::format("the instance at '{}' did not come back in the time given", options_.socket));
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

// A thread may be waiting for the socket, which is woken; the descriptor's number must not be used
// again before it has noticed.
void Connection::RetireSocket() {
  if (!socket_.valid()) return;
  os::Shutdown(socket_);
  if (reading_) retired_.push_back(std::move(socket_));
  socket_.Reset();
}

Status Connection::SayHello(os::TimePoint deadline) {
  const Outgoing hello{.body =
                           [&](flatbuffers::FlatBufferBuilder& b, uint64_t) {
                             const fb::Token token(token_[0], token_[1]);
                             const std::vector<uint64_t> reserved(reservations_.begin(),
                                                                  reservations_.end());
                             const auto reservations = b.CreateVector(reserved);
                             const auto mapped = b.CreateVector(extents_.mapped());
                             return fb::CreateHello(b, wire::kProtocolVersion, &token,
                                                    Acknowledged() + 1, reservations, mapped)
                                 .Union();
                           },
                       .type = fb::RequestBody::Hello,
                       .payload = {}};
  const uint64_t id = next_id_++;
  VY_RETURN_IF_ERROR(SendFrame(hello, id, 0, deadline));
  std::optional<std::pair<uint64_t, Answer>> got;
  while (!got) {
    VY_RETURN_IF_ERROR(
        os::WaitReady(socket_.get(), os::Readiness::kRead, deadline, options_.interrupted));
    VY_RETURN_IF_ERROR(TakeFrames());
    VY_ASSIGN_OR_RETURN(got, NextAnswer());
  }
  Answer& answer = got->second;
  VY_RETURN_IF_ERROR(wire::ToStatus(answer.reply()));
  const fb::Welcome* welcome = answer.reply().body_as_Welcome();
  const size_t segments = welcome && welcome->segments() ? welcome->segments()->size() : 0;
  if (welcome == nullptr || got->first != id || answer.fds.size() != segments + 1) {
    return Status::Protocol(fmt::format("what answers at '{}' is no vineyardd", options_.socket));
  }
  if (!facts_.instance_uuid.empty() &&
      facts_.instance_uuid != wire::ToString(welcome->instance_uuid())) {
    // Another instance began at this socket: its ids may be the same, what they mean is not.
    extents_.Forget();
    reservations_.clear();
  }
  facts_ = {wire::ToString(welcome->volume()),
            wire::ToString(welcome->instance_uuid()),
            welcome->instance_id(),
            wire::ToString(welcome->version()),
            welcome->generation(),
            welcome->inline_max()};
  inline_max_ = welcome->inline_max();
  window_ = std::max<uint32_t>(1, welcome->window());
  const std::lock_guard lock(reader_mutex_);
  VY_RETURN_IF_ERROR(catalog_.Open(answer.fds[0]));
  for (size_t i = 0; i < segments; ++i) {
    const auto n = static_cast<flatbuffers::uoffset_t>(i);
    VY_RETURN_IF_ERROR(catalog_.AddSegment(welcome->segments()->Get(n), answer.fds[i + 1]));
  }
  return {};
}

Status Connection::SendPending(os::TimePoint deadline) {
  for (const Pending* p : pending_) {
    if (p->done) continue;
    VY_RETURN_IF_ERROR(SendFrame(*p->outgoing, p->id, p->number, deadline));
  }
  return {};
}

// ---- sending

uint64_t Connection::Acknowledged() const {
  return unanswered_.empty() ? next_number_ - 1 : *unanswered_.begin() - 1;
}

Status Connection::SendFrame(const Outgoing& outgoing, uint64_t id, uint64_t number,
                             os::TimePoint deadline) {
  builder_.Clear();
  const auto body = outgoing.body(builder_, number);
  builder_.Finish(fb::CreateRequest(builder_, outgoing.type, body));
  wire::FrameHeader header;
  header.request_id = id;
  header.acknowledged = Acknowledged();
  header.body_length = builder_.GetSize();
  header.fd_count = outgoing.fd >= 0 ? 1 : 0;
  for (const auto& part : outgoing.payload) header.payload_length += part.size();
  if (header.body_length > wire::kMaxBody || header.payload_length > wire::kMaxPayload) {
    return Status::LimitExceeded(
        fmt::format("a request of {} + {} bytes is too large (at most {} + {})", header.body_length,
                    header.payload_length, wire::kMaxBody, wire::kMaxPayload));
  }
  const auto* data = reinterpret_cast<const std::byte*>(builder_.GetBufferPointer());
  std::vector<iovec> parts;
  parts.reserve(outgoing.payload.size() + 4);
  parts.push_back(Part(std::as_bytes(std::span(&header, 1))));
  parts.push_back(Part({data, header.body_length}));
  parts.push_back(
      Part(std::span(kPadding).first(wire::Pad8(header.body_length) - header.body_length)));
  for (const auto& part : outgoing.payload) {
    if (!part.empty()) parts.push_back(Part(part));
  }
  parts.push_back(
      Part(std::span(kPadding).first(wire::Pad8(header.payload_length) - header.payload_length)));
  Status s = SendParts(parts, outgoing.fd, deadline);
  // What was cut off half-way can't be continued by the next frame.
  if (!s.ok()) broken_ = true;
  return s;
}

Status Connection::SendParts(std::span<iovec> parts, int fd, os::TimePoint deadline) {
  constexpr size_t kPartsAtOnce = 512;
  std::span<const int> fds(&fd, fd >= 0 ? 1 : 0);
  while (!parts.empty()) {
    VY_ASSIGN_OR_RETURN(
        size_t sent, os::SendSome(socket_, parts.first(std::min(kPartsAtOnce, parts.size())), fds));
    if (sent == 0) {
      VY_RETURN_IF_ERROR(
          os::WaitReady(socket_.get(), os::Readiness::kWrite, deadline, options_.interrupted));
      continue;
    }
    fds = {};
    while (!parts.empty() && sent >= parts.front().iov_len) {
      sent -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (sent > 0) {
      parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + sent;
      parts.front().iov_len -= sent;
    }
  }
  return {};
}

// Until another thread has read something, or time to ask whether to go on waiting. REQUIRES: mutex_
// held by `lock`; it is not while `interrupted` is asked.
Status Connection::WaitForChange(Lock& lock, os::TimePoint deadline) {
  constexpr std::chrono::milliseconds kSlice{100};
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
    VY_RETURN_IF_ERROR(WaitForChange(lock, deadline));
    VY_RETURN_IF_ERROR(CheckUsable());
  }
  const auto in_use = [this](uint64_t number) {
    return std::ranges::any_of(unanswered_,
                               [&](uint64_t n) { return n % window_ == number % window_; });
  };
  while (in_use(next_number_)) ++next_number_;
  unanswered_.insert(next_number_);
  return next_number_++;
}

Result<Answer> Connection::Call(const Outgoing& outgoing, os::TimePoint deadline) {
  Lock lock(mutex_);
  VY_RETURN_IF_ERROR(CheckUsable());
  Pending pending{.outgoing = &outgoing, .id = next_id_++, .status = {}, .answer = {}};
  if (outgoing.changing) {
    VY_ASSIGN_OR_RETURN(pending.number, TakeNumber(lock, deadline));
  }
  Status s;
  if (broken_) {
    s = Reconnect(deadline);
    pending_.push_back(&pending);
    if (s.ok()) s = SendFrame(outgoing, pending.id, pending.number, deadline);
  } else {
    TellReleased(deadline);
    pending_.push_back(&pending);
    s = SendFrame(outgoing, pending.id, pending.number, deadline);
  }
  while (!pending.done) {
    // Broken, perhaps, by another thread that gave up half-way.
    if (s.Is(StatusCode::kUnavailable) || (s.ok() && broken_)) {
      broken_ = true;
      s = Reconnect(deadline);
    }
    if (!s.ok()) break;
    if (closed_) {
      s = Status::Cancelled("this client was closed meanwhile");
      break;
    }
    s = reading_ ? WaitForChange(lock, deadline) : ReadOnce(lock, deadline);
  }
  pending_.remove(&pending);
  unanswered_.erase(pending.number);
  changed_.notify_all();
  if (!pending.done) {
    if (s.Is(StatusCode::kProtocol) || s.Is(StatusCode::kIOError)) broken_ = true;
    if (!broken_ && !closed_) SendCancel(pending.id);
    return s;
  }
  if (!pending.status.ok()) return pending.status;
  return std::move(pending.answer);
}

// The instance need not go on waiting for what nobody wants any more. REQUIRES: mutex_ held.
void Connection::SendCancel(uint64_t id) {
  const Outgoing cancel{.body = [id](auto& b, uint64_t) { return fb::CreateCancel(b, id).Union(); },
                        .type = fb::RequestBody::Cancel,
                        .payload = {}};
  SendFrame(cancel, 0, 0, os::Clock::now()).IgnoreError();
}

void Connection::Tell(const Outgoing& outgoing) {
  const Lock lock(mutex_);
  if (!closed_ && !broken_) SendFrame(outgoing, 0, 0, os::Clock::now()).IgnoreError();
}

// Goes along with the next request, so that the instance does not believe for ever that they are mapped.
// REQUIRES: mutex_ held.
void Connection::TellReleased(os::TimePoint deadline) {
  const std::vector<uint64_t> ids = extents_.TakeReleased();
  if (ids.empty()) return;
  const Outgoing released{
      .body = [&ids](auto& b,
                     uint64_t) { return fb::CreateReleased(b, b.CreateVector(ids)).Union(); },
      .type = fb::RequestBody::Released,
      .payload = {}};
  SendFrame(released, 0, 0, deadline)
      .IgnoreError();  // the request that follows meets the same failure
}

// ---- receiving

// Waits and takes what comes, for all who wait. REQUIRES: mutex_ held by `lock`, nobody reads.
Status Connection::ReadOnce(Lock& lock, os::TimePoint deadline) {
  reading_ = true;
  const int fd = socket_.get();
  lock.unlock();
  Status s = os::WaitReady(fd, os::Readiness::kRead, deadline, options_.interrupted);
  lock.lock();
  reading_ = false;
  retired_.clear();
  if (s.ok() && socket_.get() == fd) s = TakeFrames();
  while (s.ok()) {
    auto got = NextAnswer();
    if (!got.ok()) {
      s = got.status();
    } else if (got->has_value()) {
      Deliver((*got)->first, std::move((*got)->second));
    } else {
      break;
    }
  }
  changed_.notify_all();
  return s;
}

// kUnavailable when the other side has closed.
Status Connection::TakeFrames() {
  while (true) {
    const std::span<std::byte> space = reader_.Space();
    VY_ASSIGN_OR_RETURN(const os::Received got, os::ReceiveSome(socket_, space, &received_fds_));
    if (got.would_block) return {};
    if (got.closed) return Status::Unavailable("the instance has closed the connection");
    reader_.Filled(got.bytes);
    if (got.bytes < space.size()) return {};
    return {};
  }
}

Result<std::optional<std::pair<uint64_t, Answer>>> Connection::NextAnswer() {
  using Got = std::optional<std::pair<uint64_t, Answer>>;
  VY_ASSIGN_OR_RETURN(const std::optional<wire::Frame> frame, reader_.Next());
  if (!frame) return Got();
  Answer answer;
  const size_t body = wire::Pad8(frame->body.size());
  answer.storage.resize((body + frame->payload.size() + 7) / 8);
  auto* bytes = reinterpret_cast<std::byte*>(answer.storage.data());
  std::ranges::copy(frame->body, bytes);
  std::ranges::copy(frame->payload, bytes + body);
  answer.body = {bytes, frame->body.size()};
  answer.payload = {bytes + body, frame->payload.size()};
  VY_RETURN_IF_ERROR(wire::DecodeReply(answer.body).status());
  const size_t count = frame->header.fd_count;
  if (count > received_fds_.size()) return Status::Protocol("descriptors are missing");
  const auto end = received_fds_.begin() + static_cast<ptrdiff_t>(count);
  std::move(received_fds_.begin(), end, std::back_inserter(answer.fds));
  received_fds_.erase(received_fds_.begin(), end);
  return Got(std::pair(frame->header.request_id, std::move(answer)));
}

void Connection::Deliver(uint64_t id, Answer answer) {
  const auto it = std::ranges::find(pending_, id, [](const Pending* p) { return p->id; });
  if (it != pending_.end()) {
    // Noted before anybody can reconnect: what is not claimed then is given back.
    if (const fb::Reserved* reserved = answer.reply().body_as_Reserved()) {
      reservations_.insert(reserved->extent()->blob());
    }
    (*it)->status = wire::ToStatus(answer.reply());
    (*it)->answer = std::move(answer);
    (*it)->done = true;
    return;
  }
  // Whoever asked has given up. Memory that was reserved for it goes back.
  if (const fb::Reserved* reserved = answer.reply().body_as_Reserved()) {
    const uint64_t blob = reserved->extent()->blob();
    const Outgoing abort{
        .body = [blob](auto& b, uint64_t) { return fb::CreateAbort(b, blob).Union(); },
        .type = fb::RequestBody::Abort,
        .payload = {}};
    SendFrame(abort, 0, 0, os::Clock::now()).IgnoreError();
  }
}

// ---- reading without a call

Result<Outcome> Connection::ReadWith(const std::function<Outcome()>& read, os::TimePoint deadline) {
  constexpr int kAttempts = 8;
  for (int i = 0; i < kAttempts; ++i) {
    VY_RETURN_IF_ERROR(CheckUsable());
    Outcome outcome;
    CatalogReader::Wanted wanted;
    {
      const std::lock_guard lock(reader_mutex_);
      outcome = read();
      if (outcome == Outcome::kParts) wanted = catalog_.wanted();
    }
    if (outcome == Outcome::kParts) {
      VY_RETURN_IF_ERROR(OpenParts(wanted, deadline));
    } else if (outcome == Outcome::kDead) {
      const Lock lock(mutex_);
      {
        const std::lock_guard reader_lock(reader_mutex_);
        if (catalog_.IsAlive()) continue;  // another thread has reconnected meanwhile
      }
      broken_ = true;
      VY_RETURN_IF_ERROR(Reconnect(deadline));
    } else {
      return outcome;
    }
  }
  return Outcome::kMiss;
}

Result<Outcome> Connection::Read(ObjectId id, layout::RecordCopy* copy, os::TimePoint deadline) {
  return ReadWith([&] { return catalog_.Read(id, copy); }, deadline);
}

Result<Outcome> Connection::ReadName(std::string_view name, layout::RecordCopy* copy,
                                     os::TimePoint deadline) {
  return ReadWith([&] { return catalog_.ReadName(name, copy); }, deadline);
}

Status Connection::OpenParts(const CatalogReader::Wanted& wanted, os::TimePoint deadline) {
  const Outgoing open{
      .body =
          [&](flatbuffers::FlatBufferBuilder& b, uint64_t) {
            const auto arenas = b.CreateVector(wanted.arenas);
            return fb::CreateOpenCatalog(b, arenas, b.CreateVector(wanted.segments)).Union();
          },
      .type = fb::RequestBody::OpenCatalog,
      .payload = {}};
  const uint64_t generation = facts().generation;
  VY_ASSIGN_OR_RETURN(const Answer answer, Call(open, deadline));
  const fb::CatalogParts* parts = answer.reply().body_as_CatalogParts();
  if (parts == nullptr || parts->arenas() == nullptr || parts->segments() == nullptr ||
      answer.fds.size() != parts->arenas()->size() + parts->segments()->size()) {
    return Status::Protocol("the instance's answer lacks parts of its catalog");
  }
  const Lock lock(mutex_);
  if (facts_.generation != generation) return {};  // of a catalog that we have left behind
  const std::lock_guard reader_lock(reader_mutex_);
  size_t next = 0;
  for (const fb::ArenaSize* a : *parts->arenas()) {
    VY_RETURN_IF_ERROR(
        catalog_.AddArena(static_cast<uint32_t>(a->number()), a->size(), answer.fds[next++]));
  }
  for (const uint64_t number : *parts->segments()) {
    VY_RETURN_IF_ERROR(catalog_.AddSegment(number, answer.fds[next++]));
  }
  return {};
}

// ---- what this client holds

void Connection::RemoveReservation(uint64_t blob) {
  const Lock lock(mutex_);
  reservations_.erase(blob);
}

Connection::Facts Connection::facts() const {
  const Lock lock(mutex_);
  return facts_;
}

}  // namespace vineyard::client
