// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about streams.
#include <fmt/format.h>

#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

using flatbuffers::FlatBufferBuilder;
using layout::StreamPhase;
using layout::StreamState;

namespace {

fb::StreamPhase PhaseOf(StreamPhase phase) {
  switch (phase) {
    case StreamPhase::kOpen: return fb::StreamPhase::Open;
    case StreamPhase::kFinished: return fb::StreamPhase::Finished;
    case StreamPhase::kFailed: return fb::StreamPhase::Failed;
  }
  return fb::StreamPhase::Failed;
}

}  // namespace

void Server::HandleCreateStream(Call call, const fb::CreateStream& create) {
  if (SendRecalled(call, create.number())) return;
  SendDone(std::move(call.reply),
           call.volume.CreateStream({&call.client, create.number()}, ObjectId(create.id()),
                                    create.capacity(), create.readers()));
}

void Server::HandleOpenStream(Call call, const fb::OpenStream& open) {
  if (SendRecalled(call, open.number())) return;
  SendDone(std::move(call.reply), call.volume.OpenStream({&call.client, open.number()},
                                                         ObjectId(open.id()), open.writes()));
}

void Server::HandlePushChunk(Call call, const fb::PushChunk& push) {
  if (SendRecalled(call, push.number())) return;
  SendDone(std::move(call.reply),
           call.volume.PushChunk({&call.client, push.number()}, ObjectId(push.id()),
                                 ObjectId(push.chunk()), push.owns()));
}

void Server::HandleNextChunk(Call call, const fb::NextChunk& next) {
  const StreamWait wait{ObjectId(next.id()), next.reader(), next.position()};
  const Status moved =
      call.volume.AdvanceReader(wait.stream, wait.reader, call.client.key, wait.position);
  if (!moved.ok()) return call.reply.Fail(moved);
  WaitForStream(std::move(call), wait, next.timeout_ms());
  AfterChange();
}

void Server::HandleAwaitRoom(Call call, const fb::AwaitRoom& await) {
  WaitForStream(std::move(call), {ObjectId(await.id()), 0, 0}, await.timeout_ms());
}

void Server::HandleEndStream(Call call, const fb::EndStream& end) {
  if (SendRecalled(call, end.number())) return;
  const store::Volume::StreamEnd how{
      end.failed(), end.reason() != nullptr ? end.reason()->string_view() : std::string_view()};
  SendDone(std::move(call.reply),
           call.volume.EndStream({&call.client, end.number()}, ObjectId(end.id()), how));
  AfterChange();
}

void Server::HandleLeaveStream(Call call, const fb::LeaveStream& leave) {
  if (SendRecalled(call, leave.number())) return;
  SendDone(std::move(call.reply), call.volume.LeaveStream({&call.client, leave.number()},
                                                          ObjectId(leave.id()), leave.reader()));
  AfterChange();
}

void Server::HandleDropStream(Call call, const fb::DropStream& drop) {
  if (SendRecalled(call, drop.number())) return;
  SendDone(std::move(call.reply),
           call.volume.DropStream({&call.client, drop.number()}, ObjectId(drop.id())));
  AfterChange();
}

void Server::HandleGetStream(Call call, const fb::GetStream& get) {
  const store::Stream* stream = call.volume.FindStream(ObjectId(get.id()));
  if (stream == nullptr) {
    return call.reply.Fail(Status::NotFound(fmt::format(
        "no stream {} in volume '{}'", ObjectId(get.id()).ToString(), call.volume.name())));
  }
  const auto pid = [this](uint64_t key) {
    const store::ClientState* client = store_.clients().Find(key);
    return client == nullptr ? 0 : client->pid;
  };
  const StreamState& s = stream->state;
  FlatBufferBuilder b(512);
  std::vector<fb::StreamReader> readers;
  for (const layout::StreamReaderState& r : s.readers) {
    readers.emplace_back(r.number, pid(r.client), r.position);
  }
  const auto list = b.CreateVectorOfStructs(readers);
  const auto reason = b.CreateString(s.reason);
  const auto info =
      fb::CreateStreamInfo(b, PhaseOf(s.phase), s.capacity, s.readers_wanted, s.places_taken,
                           s.first, s.chunks.size(), pid(s.writer), list, reason);
  call.reply.Send(b, fb::ReplyBody::StreamInfo, info.Union());
}

// ---- waiting

void Server::WaitForStream(Call call, const StreamWait& wait, uint64_t timeout_ms) {
  if (AnswerStream(call.volume, wait, call.reply)) return;
  waiters_.Add({call.volume.id(), wait, DeadlineAfter(timeout_ms), std::move(call.reply)});
  ArmTimer();
}

bool Server::AnswerStream(const store::Volume& volume, const StreamWait& wait, Reply& reply) {
  const auto answer = [&reply](uint64_t id, uint64_t value) {
    FlatBufferBuilder b(128);
    const auto done = fb::CreateDone(b, id, value);
    reply.Send(b, fb::ReplyBody::Done, done.Union());
    return true;
  };
  const auto fail = [&reply](const Status& status) {
    reply.Fail(status);
    return true;
  };
  const std::string id = wait.stream.ToString();
  const store::Stream* stream = volume.FindStream(wait.stream);
  if (stream == nullptr) {
    return fail(Status::NotFound(fmt::format("stream {} has been dropped, or never was", id)));
  }
  const StreamState& s = stream->state;
  if (wait.reader != 0 && wait.position < s.end()) {
    return answer(s.chunks[wait.position - s.first], wait.position);
  }
  if (s.phase == StreamPhase::kFailed) {
    return fail(Status::FailedPrecondition(fmt::format("stream {} failed: {}", id, s.reason)));
  }
  if (wait.reader != 0) return s.phase == StreamPhase::kFinished && answer(0, wait.position);
  if (s.phase == StreamPhase::kFinished) {
    return fail(Status::FailedPrecondition(
        fmt::format("stream {} has been finished: nothing can follow", id)));
  }
  if (s.abandoned()) {
    return fail(Status::FailedPrecondition(fmt::format("every reader has left stream {}", id)));
  }
  return s.room() > 0 && answer(0, s.room());
}

void Server::StreamChanged(store::Volume& volume, ObjectId stream) {
  const auto waits_for_it = [&](const Waiter& w) {
    const auto* wait = std::get_if<StreamWait>(&w.awaited);
    return wait != nullptr && wait->stream == stream;
  };
  std::list<Waiter> waiters = waiters_.Take(volume.id(), waits_for_it);
  for (auto it = waiters.begin(); it != waiters.end();) {
    const auto next = std::next(it);
    if (AnswerStream(volume, std::get<StreamWait>(it->awaited), it->reply)) waiters.erase(it);
    it = next;
  }
  waiters_.Return(std::move(waiters));
}

std::string Server::ExplainStream(uint64_t volume, const StreamWait& wait) {
  const store::Volume* v = store_.FindVolume(volume);
  const store::Stream* stream = v == nullptr ? nullptr : v->FindStream(wait.stream);
  const std::string id = wait.stream.ToString();
  if (stream == nullptr) return fmt::format("stream {} is gone", id);
  const StreamState& s = stream->state;
  const auto process = [this](uint64_t key) {
    const store::ClientState* client = store_.clients().Find(key);
    return client == nullptr ? std::string("?") : fmt::format("process {}", client->pid);
  };
  if (wait.reader != 0) {
    return fmt::format("no chunk {} came in the time given: stream {} {}", wait.position, id,
                       s.writer == 0 ? "has no writer yet" : "is written by " + process(s.writer));
  }
  std::string readers;
  for (const layout::StreamReaderState& r : s.readers) {
    readers += fmt::format("{}{} is at chunk {}", readers.empty() ? "" : ", ", process(r.client),
                           r.position);
  }
  return fmt::format(
      "no room in the time given: stream {} holds {} chunks from {} on, of {} readers {} came{}",
      id, s.chunks.size(), s.first, s.readers_wanted, s.places_taken,
      readers.empty() ? "" : "; " + readers);
}

}  // namespace vineyard::daemon
