// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/server.h"

#include <asio/post.hpp>

#include <algorithm>
#include <limits>

#include "base/logging.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/process.h"
#include "wire/codec.h"

namespace vineyard::daemon {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLingerCheckWanted{20};  // somebody waits for memory
constexpr milliseconds kLingerCheckIdle{500};
constexpr size_t kMaxRequests = 4096;  // of one connection at a time

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kHeapOfVolume = 96 * kMiB;
static_assert(kHeapOfVolume >= wire::kMaxBody + wire::kMaxPayload + 4096, "the largest frame fits");
constexpr HeapShares::Limits kForFrames{.of_volume = kHeapOfVolume, .of_one = 128 * kMiB};
constexpr HeapShares::Limits kForWaits{.of_volume = kHeapOfVolume, .of_one = 256 * kMiB};
constexpr HeapShares::Limits kForAnswers{.of_volume = kHeapOfVolume, .of_one = 128 * kMiB};

}  // namespace

Server::Server(asio::io_context& io, RingWatch& rings, store::Store& store, KeeperLink& link,
               ServerOptions options)
    : io_(io), rings_(rings), store_(store), link_(link), options_(std::move(options)),
      descriptors_under_way_(io, os::FdLimit()), shares_(options_.descriptors),
      frames_room_(kForFrames, [this] { NoteHeapShrinks(); }),
      waits_room_(kForWaits, [this] { NoteHeapShrinks(); }),
      answers_room_(kForAnswers, [this] { NoteHeapShrinks(); }) {
  store_.on_name = [this](store::Volume& volume, const std::string& name) {
    NameChanged(volume, name);
  };
  store_.on_stream = [this](store::Volume& volume, ObjectId stream) {
    StreamChanged(volume, stream);
  };
  store_.on_deadline = [this] { ArmTimer(); };
  store_.may_make_files = [this](store::Holder who, uint64_t files) {
    return MayMakeFiles(who, files);
  };
}

Status Server::Start() {
  VY_ASSIGN_OR_RETURN(timer_, os::Timer::Make());
  timer_watched_ = Watch(io_, timer_->fd());
  if (timer_watched_ == nullptr) return Status::LimitExceeded("too many descriptors are open");
  WaitForTimer();
  for (const auto& [key, client] : store_.clients().all()) WatchClient(*client);
  KeepMoving();
  ArmTimer();
  return {};
}

Server::~Server() { Stop(); }

void Server::Stop() {
  if (std::exchange(stopped_, true)) return;
  listeners_.clear();
  silent_.clear();
  pidfds_.clear();
  waiters_.Drop();
  timer_watched_.reset();
  const auto connections = std::exchange(connections_, {});
  for (const auto& [raw, connection] : connections) connection->Close();
  descriptors_under_way_.Stop();
}

// ---- connections

void Server::ConnectionClosed(Connection& connection) {
  const auto keep = connections_.find(&connection);
  if (keep == connections_.end()) return;
  const std::shared_ptr<Connection> alive = keep->second;
  connections_.erase(keep);
  ForgetSilent(connection);
  for (const Connection::Wait& wait : connection.waits) store_.CancelReserve(wait.ticket);
  connection.waits.clear();
  const auto is_its = [&](const Waiter& w) { return w.reply.connection().get() == &connection; };
  for (Waiter& w : waiters_.Take(connection.volume(), is_its)) w.reply.Drop();
  store::ClientState* client = store_.clients().Find(connection.client());
  if (client == nullptr) return;
  client->connected = false;
  if (os::HasEnded(client->pidfd)) ForgetClient(client->key);
  ArmTimer();
}

// ---- clients

void Server::WatchClient(const store::ClientState& client) {
  auto watched = Watch(io_, client.pidfd);
  if (watched == nullptr) return;
  watched->async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, key = client.key](const asio::error_code& error) {
                        if (!error && !stopped_) ForgetClient(key);
                      });
  pidfds_[client.key] = std::move(watched);
}

void Server::ForgetClient(uint64_t key) {
  pidfds_.erase(key);
  std::vector<std::shared_ptr<Connection>> of_it;
  for (const auto& [raw, connection] : connections_) {
    if (connection->client() == key) of_it.push_back(connection);
  }
  for (const auto& connection : of_it) {
    connection->set_client(0);
    connection->Close();
  }
  store_.ForgetClient(key);
  AfterChange();
  ArmTimer();  // names that lived with it end now
}

// ---- requests

bool Server::HandleFrame(const std::shared_ptr<Connection>& connection, const wire::Frame& frame,
                         std::vector<os::UniqueFd> fds) {
  const Running running(store_.ledger(), connection->client(), frame.header.request_id);
  auto request = wire::DecodeRequest(frame.body);
  if (!request.ok()) {
    LogDropped(*connection, request.status().message());
    return false;
  }
  Reply reply(connection, frame.header.request_id, (*request)->body_type(),
              frame.body.size() + frame.payload.size());
  if (const fb::Hello* hello = (*request)->body_as_Hello()) {
    HandleHello(connection, *hello, std::move(reply));
    return true;
  }
  store::ClientState* client = store_.clients().Find(connection->client());
  store::Volume* volume = store_.FindVolume(connection->volume());
  if (client == nullptr || volume == nullptr) {
    if (client == nullptr) {
      reply.Fail(Status::Protocol("the first request of a connection must be Hello"));
    } else {
      reply.Fail(Status::NotFound("this volume has been removed"));
    }
    return volume == nullptr;
  }
  store_.clients().Acknowledge(*client, frame.header.acknowledged);
  if (connection->requests() > kMaxRequests) {
    reply.Fail(Status::LimitExceeded(
        "too many requests of this connection wait; take some answers first"));
    return true;
  }
  if (store_.clients().WasFatal(*client, frame.header.request_id)) {
    reply.Fail(
        Status::Internal("the instance's engine ended by a fault while it was at this request, "
                         "which is not run again; "
                         "nothing of it has happened"));
    return true;
  }
  Dispatch({connection, *volume, *client, frame, fds, std::move(reply)}, **request);
  return true;
}

bool Server::SendRecalled(Call& call, uint64_t number) {
  auto answer = store_.clients().Recall(call.client, number);
  if (!answer.ok()) {
    call.reply.Fail(answer.status());
    return true;
  }
  if (!answer->has_value()) return false;
  // The engine that gave it first, or was about to, may have ended before the disk had what it says.
  constexpr uint64_t kAnyBefore = std::numeric_limits<uint64_t>::max();
  SendWhenKept(std::move(call.reply), **answer, kAnyBefore);
  return true;
}

void Server::SendDone(Reply reply, const Result<layout::Answer>& answer) {
  if (!answer.ok()) return reply.Fail(answer.status());
  os::CrashPoint("reply.before");
  flatbuffers::FlatBufferBuilder builder(128);
  const auto done = fb::CreateDone(builder, answer->id, answer->value);
  reply.Send(builder, fb::ReplyBody::Done, done.Union());
  os::CrashPoint("reply.after");
}

// ---- time

void Server::AfterChange() {
  store_.PumpQuota();
  if (store_.HasLingering() || store_.waiting() > 0) ArmTimer();
  KeepMoving();
}

void Server::ArmTimer() {
  if (stopped_ || !timer_) return;
  std::optional<os::TimePoint> next = store_.NextDeadline();
  if (const auto wait = waiters_.NextDeadline()) next = std::min(next.value_or(*wait), *wait);
  if (!silent_.empty())
    next = std::min(next.value_or(silent_.front().until), silent_.front().until);
  if (frames_checked_at_ != os::TimePoint::max()) {
    next = std::min(next.value_or(frames_checked_at_), frames_checked_at_);
  }
  if (store_.HasLingering()) {
    const auto check =
        os::Clock::now() + (store_.waiting() > 0 ? kLingerCheckWanted : kLingerCheckIdle);
    next = next ? std::min(*next, check) : check;
  }
  // One that has become later is left as it is: it comes for nothing once.
  if (next && *next < timer_at_) timer_->SetAt(*next);
  if (!next && timer_at_ != os::TimePoint::max()) timer_->Stop();
  timer_at_ = next ? std::min(*next, timer_at_) : os::TimePoint::max();
}

void Server::WaitForTimer() {
  timer_watched_->async_wait(asio::posix::stream_descriptor::wait_read,
                             [this](const asio::error_code& error) {
                               if (error || stopped_) return;
                               OnTimer();
                               WaitForTimer();
                             });
}

void Server::OnTimer() {
  timer_->Stop();
  timer_at_ = os::TimePoint::max();
  const os::TimePoint now = os::Clock::now();
  store_.Tick(now);
  CloseSilent(now);
  EndStalledFrames(now);
  for (Waiter& w : waiters_.TakeLate(now)) {
    const auto* name = std::get_if<NameWait>(&w.awaited);
    w.reply.Fail(Status::DeadlineExceeded(
        name != nullptr ? "nobody put the name '" + name->wanted.name + "' in the time given"
                        : ExplainStream(w.volume, std::get<StreamWait>(w.awaited))));
  }
  ArmTimer();
}

// Empties old and sparse arenas a little at a time, between requests.
void Server::KeepMoving() {
  if (moving_ || stopped_) return;
  moving_ = true;
  asio::post(io_, [this] {
    moving_ = false;
    if (!stopped_ && store_.MoveSome()) KeepMoving();
  });
}

}  // namespace vineyard::daemon
