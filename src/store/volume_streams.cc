// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Streams of a volume: bounded queues of chunks from one writer to several readers.
//
// A stream's record is replaced by each change of it, so that an engine that takes over finds the queue,
// the readers' positions and the writer as the last answer left them.
#include <fmt/format.h>

#include "os/crash_point.h"
#include "store/volume.h"

namespace vineyard::store {

using layout::Answer;
using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;
using layout::StreamPhase;
using layout::StreamState;

namespace {

std::string ProcessOf(ClientTable& clients, uint64_t key) {
  const ClientState* client = clients.Find(key);
  return client == nullptr ? "a process that is gone" : fmt::format("process {}", client->pid);
}

}  // namespace

const Stream* Volume::FindStream(ObjectId id) const {
  const auto it = streams_.find(id.value());
  return it == streams_.end() ? nullptr : &it->second;
}

bool Volume::AdoptStream(ObjectId id, Ref ref, StreamState state) {
  streams_[id.value()] = {ref, std::move(state)};
  return catalog_->index().Apply(id.value(), Ref(), ref);
}

Result<const Stream*> Volume::NeedStream(ObjectId id) const {
  if (const Stream* stream = FindStream(id)) return stream;
  return Status::NotFound(
      fmt::format("no stream {} in volume '{}' (any more)", id.ToString(), name_));
}

void Volume::LinkChunk(ObjectId stream, uint64_t chunk) {
  ++entries_.at(chunk).parents;
  parents_.emplace(chunk, stream.value());
}

Result<Ref> Volume::StageStream(Transaction& tx, ObjectId id, Ref old,
                                const StreamState& state) const {
  RecordFields fields;
  fields.kind = RecordKind::kStream;
  fields.id = id.value();
  VY_ASSIGN_OR_RETURN(const Ref ref, tx.Stage(fields, layout::EncodeStream(state), {}));
  tx.Change(id.value(), old, ref);
  return ref;
}

Result<Answer> Volume::ChangeStream(const Request& request, ObjectId id, StreamState next,
                                    const Answer& answer, const Pushed& pushed) {
  Stream& stream = streams_.at(id.value());
  Removal removal = PlanPassing(id, next.Trim());
  // The new record is hardly larger than the old one, which goes; and reading on frees memory.
  const ArenaSet::Overdraft overdraft(arenas_);
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref, StageStream(tx, id, stream.ref, next));
  StageRemoval(tx, removal, {});
  Ref owned_ref;
  if (pushed.owned != nullptr) {
    VY_ASSIGN_OR_RETURN(owned_ref, StageFlagged(tx, *pushed.owned, layout::kFlagOwned));
  }
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  os::CrashPoint("stream.committed");
  if (pushed.owned != nullptr) {
    pushed.owned->ref = owned_ref;
    pushed.owned->owned = true;
  }
  stream = {ref, std::move(next)};
  if (pushed.link != 0) LinkChunk(id, pushed.link);
  FinishRemoval(std::move(removal));
  host_.StreamChanged(*this, id);
  return answer;
}

Result<Answer> Volume::CreateStream(const Request& request, ObjectId id, uint32_t capacity,
                                    uint32_t readers) {
  if (capacity == 0 || capacity > layout::kMaxStreamChunks) {
    return Status::Invalid(
        fmt::format("a stream holds 1 to {} chunks, not {}", layout::kMaxStreamChunks, capacity));
  }
  if (readers == 0 || readers > layout::kMaxStreamReaders) {
    return Status::Invalid(
        fmt::format("a stream has 1 to {} readers, not {}", layout::kMaxStreamReaders, readers));
  }
  const Entry* entry = Find(id);
  if (entry == nullptr || entry->ref.kind() != RecordKind::kObject) {
    return Status::NotFound(
        fmt::format("no object {} in volume '{}' for a stream", id.ToString(), name_));
  }
  if (FindStream(id) != nullptr) {
    return Status::AlreadyExists(fmt::format("{} is a stream already", id.ToString()));
  }
  StreamState state;
  state.capacity = capacity;
  state.readers_wanted = readers;
  VY_RETURN_IF_ERROR(
      CheckQuota(layout::RecordSize(static_cast<uint32_t>(layout::EncodeStream(state).size()), 0)));
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref, StageStream(tx, id, Ref(), state));
  const Answer answer{request.number, id.value(), 0, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  streams_[id.value()] = {ref, std::move(state)};
  return answer;
}

Result<Answer> Volume::OpenStream(const Request& request, ObjectId id, bool writes) {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  StreamState next = stream->state;
  if (writes) {
    if (next.phase != StreamPhase::kOpen) {
      return Status::FailedPrecondition(fmt::format(
          "stream {} has been {}", id.ToString(),
          next.phase == StreamPhase::kFinished ? "finished" : "given up: " + next.reason));
    }
    if (next.writer != 0 && next.writer != request.client->key) {
      return Status::AlreadyExists(fmt::format("stream {} is written by {}", id.ToString(),
                                               ProcessOf(host_.clients(), next.writer)));
    }
    next.writer = request.client->key;
    return ChangeStream(request, id, std::move(next), {request.number, 0, 0, 0}, {});
  }
  if (next.readers.size() >= layout::kMaxStreamReaders) {
    return Status::LimitExceeded(
        fmt::format("stream {} has {} readers already", id.ToString(), next.readers.size()));
  }
  const layout::StreamReaderState reader{next.next_reader++, request.client->key, next.first};
  next.readers.push_back(reader);
  ++next.places_taken;
  return ChangeStream(request, id, std::move(next),
                      {request.number, reader.number, reader.position, 0}, {});
}

Status Volume::CheckMayPush(const Request& request, ObjectId id) const {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  const StreamState& state = stream->state;
  if (request.client == nullptr || state.writer != request.client->key) {
    return Status::FailedPrecondition(
        fmt::format("stream {} is {}", id.ToString(),
                    state.writer == 0 ? "not open: open it for writing first"
                                      : "written by " + ProcessOf(host_.clients(), state.writer)));
  }
  if (state.phase != StreamPhase::kOpen) {
    return Status::FailedPrecondition(
        fmt::format("stream {} has been ended: nothing can follow", id.ToString()));
  }
  if (state.abandoned()) {
    return Status::FailedPrecondition(
        fmt::format("every reader has left stream {}", id.ToString()));
  }
  if (state.room() == 0) {
    return Status::LimitExceeded(fmt::format("stream {} is full: {} chunks wait to be read",
                                             id.ToString(), state.chunks.size()));
  }
  return {};
}

Result<Answer> Volume::PushChunk(const Request& request, ObjectId id, ObjectId chunk, bool owns) {
  VY_RETURN_IF_ERROR(CheckMayPush(request, id));
  const auto entry = entries_.find(chunk.value());
  if (entry == entries_.end() || chunk == id) {
    return Status::NotFound(
        fmt::format("no object {} in volume '{}' for a chunk", chunk.ToString(), name_));
  }
  if (owns && IsDurable(entry->second.ref)) {
    return Status::Invalid(
        fmt::format("{} is durable, and what belongs to a stream is not; push it without giving it "
                    "to the stream",
                    chunk.ToString()));
  }
  StreamState next = streams_.at(id.value()).state;
  const Pushed pushed{.link = next.queued(chunk.value()) ? 0 : chunk.value(),
                      .owned = owns && !entry->second.owned ? &entry->second : nullptr};
  next.chunks.push_back(chunk.value());
  const Answer answer{request.number, chunk.value(), next.room(), 0};
  return ChangeStream(request, id, std::move(next), answer, pushed);
}

Status Volume::AdvanceReader(ObjectId id, uint64_t reader, uint64_t client, uint64_t position) {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  StreamState next = stream->state;
  layout::StreamReaderState* mine = next.FindReader(reader);
  if (mine == nullptr || mine->client != client) {
    return Status::FailedPrecondition(
        fmt::format("reader {} of stream {} is {}", reader, id.ToString(),
                    mine == nullptr ? "closed" : "another client's: open one of your own"));
  }
  if (position < mine->position || position > next.end()) {
    return Status::Invalid(fmt::format("reader {} of stream {} may ask for chunks {} to {}, not {}",
                                       reader, id.ToString(), mine->position, next.end(),
                                       position));
  }
  if (position == mine->position) return {};
  mine->position = position;
  return ChangeStream({}, id, std::move(next), {}, {}).status();
}

Result<Answer> Volume::EndStream(const Request& request, ObjectId id, const StreamEnd& end) {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  StreamState next = stream->state;
  const Answer answer{request.number, id.value(), 0, 0};
  const StreamPhase wanted = end.failed ? StreamPhase::kFailed : StreamPhase::kFinished;
  if (next.writer != 0 && next.writer != request.client->key) {
    return Status::FailedPrecondition(fmt::format("stream {} is written by {}", id.ToString(),
                                                  ProcessOf(host_.clients(), next.writer)));
  }
  if (next.phase != StreamPhase::kOpen && next.phase != wanted) {
    return Status::FailedPrecondition(
        fmt::format("stream {} has been {}", id.ToString(),
                    end.failed ? "finished" : "given up: " + next.reason));
  }
  next.phase = wanted;
  if (end.failed && next.reason.empty()) {
    next.reason = end.reason.empty() ? "its writer gave it up" : std::string(end.reason);
    next.reason.resize(std::min(next.reason.size(), layout::kMaxStreamReason));
  }
  return ChangeStream(request, id, std::move(next), answer, {});
}

Result<Answer> Volume::LeaveStream(const Request& request, ObjectId id, uint64_t reader) {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  StreamState next = stream->state;
  std::erase_if(next.readers, [&](const layout::StreamReaderState& r) {
    return r.number == reader && r.client == request.client->key;
  });
  return ChangeStream(request, id, std::move(next), {request.number, id.value(), 0, 0}, {});
}

Result<Answer> Volume::DropStream(const Request& request, ObjectId id) {
  VY_ASSIGN_OR_RETURN(const Stream* stream, NeedStream(id));
  StreamState state = stream->state;
  state.places_taken = state.readers_wanted;  // nobody is to read what is left
  state.readers.clear();
  Removal removal = PlanPassing(id, state.Trim());
  Transaction tx(*this);
  tx.Change(id.value(), stream->ref, Ref());
  StageRemoval(tx, removal, {});
  const Answer answer{request.number, id.value(), 0, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  streams_.erase(id.value());
  FinishRemoval(std::move(removal));
  host_.StreamChanged(*this, id);
  return answer;
}

void Volume::ReleaseStreams(const std::function<bool(uint64_t client)>& is_gone) {
  std::vector<uint64_t> ids;
  for (const auto& [id, stream] : streams_) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto it = streams_.find(id);
    if (it == streams_.end()) continue;
    StreamState next = it->second.state;
    if (next.phase == StreamPhase::kOpen && next.writer != 0 && is_gone(next.writer)) {
      next.phase = StreamPhase::kFailed;
      next.reason = fmt::format("its writer ({}) ended before it had finished the stream",
                                ProcessOf(host_.clients(), next.writer));
    }
    std::erase_if(next.readers, [&](const layout::StreamReaderState& r) {
      if (!is_gone(r.client)) return false;
      const bool had_all = next.phase == StreamPhase::kFinished && r.position == next.end();
      if (!had_all && next.places_taken > 0) --next.places_taken;
      return true;
    });
    if (next == it->second.state) continue;
    // Should there be no memory even for that, the next change of the stream's clients tells.
    ChangeStream({}, ObjectId(id), std::move(next), {}, {}).status().IgnoreError();
  }
}

}  // namespace vineyard::store
