// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <algorithm>
#include <mutex>

#include "client/fork.h"
#include "client/impl.h"
#include "client/reservation.h"
#include "vineyard/stream.h"

namespace vineyard {

using client::Answer;
using client::Change;
using client::Connection;
using client::Outgoing;
using client::Question;
using flatbuffers::FlatBufferBuilder;

namespace {

constexpr Timeout kGoodbyeTime{1000};  // what a destructor gives the instance to listen

struct DoneFields {
  uint64_t id = 0;
  uint64_t value = 0;
};

Result<DoneFields> ReadDone(const Result<Answer>& answer) {
  if (!answer.ok()) return answer.status();
  const fb::Done* done = answer->reply().body_as_Done();
  if (done == nullptr) return Status::Protocol("the instance's answer about a stream is none");
  return DoneFields{done->id(), done->value()};
}

// A question that waits at the instance. Without a timeout it is asked again and again, so that each
// time the instance, if it hangs, has a bound.
template <typename Ask>
Result<DoneFields> AskUntil(Connection& connection, const StreamCallOptions& options,
                            const Ask& ask) {
  while (true) {
    const os::TimePoint deadline = connection.Deadline(options.timeout);
    const Outgoing question = ask(deadline);
    auto done = ReadDone(connection.Call(question, client::WithGrace(deadline)));
    if (options.timeout || !done.status().Is(StatusCode::kDeadlineExceeded)) return done;
  }
}

Result<StreamInfo> AskForStream(Connection& connection, ObjectId id, os::TimePoint deadline) {
  const Outgoing get = Question(fb::RequestBody::GetStream, [id](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateGetStream(b, id.value()).Union();
  });
  VY_ASSIGN_OR_RETURN(const Answer answer, connection.Call(get, deadline));
  const fb::StreamInfo* s = answer.reply().body_as_StreamInfo();
  if (s == nullptr) return Status::Protocol("the instance's answer about a stream is none");
  StreamInfo info;
  info.finished = s->phase() == fb::StreamPhase::Finished;
  info.failed = s->phase() == fb::StreamPhase::Failed;
  info.reason = wire::ToString(s->reason());
  info.capacity = s->capacity();
  info.first = s->first();
  info.queued = s->queued();
  info.readers_wanted = s->readers_wanted();
  info.readers_come = s->readers_come();
  info.writer_pid = s->writer_pid();
  if (s->readers() != nullptr) {
    for (const fb::StreamReader* r : *s->readers()) {
      info.readers.push_back({r->number(), r->pid(), r->position()});
    }
  }
  return info;
}

}  // namespace

// ---- writing

class StreamWriter::Impl {
 public:
  Impl(std::shared_ptr<Client::Impl> client, ObjectId stream)
      : client_(std::move(client)), epoch_(client_->epoch()), stream_(stream) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    // A forked child has a copy of what is its parent's.
    if (ended_ || epoch_ != client::ForkEpoch() || client_->connection().closed()) return;
    End(true, "its writer let go of it unfinished", {kGoodbyeTime}).IgnoreError();
  }

  /// Gives `put` the time that is left once there is room, and is the only one that takes it.
  template <typename Put>
  auto Add(const StreamCallOptions& options, const Put& put) -> decltype(put(CallOptions{})) {
    const std::lock_guard lock(mutex_);
    Connection& connection = client_->connection();
    const os::TimePoint deadline = connection.Deadline(options.timeout);
    if (room_ == 0) {
      VY_ASSIGN_OR_RETURN(
          const DoneFields done, AskUntil(connection, options, [this](os::TimePoint until) {
            return Question(fb::RequestBody::AwaitRoom, [this, until](auto& b, uint64_t) {
              return fb::CreateAwaitRoom(b, stream_.value(), client::MillisecondsUntil(until))
                  .Union();
            });
          }));
      room_ = done.value;
    }
    CallOptions left;
    if (options.timeout) left.timeout = Timeout(client::MillisecondsUntil(deadline));
    auto result = put(left);
    if (result.ok()) {
      --room_;
    } else {
      room_ = 0;  // asked again: what is known may be wrong
    }
    return result;
  }

  Status End(bool failed, std::string_view reason, const CallOptions& options) {
    const std::lock_guard lock(mutex_);
    Connection& connection = client_->connection();
    const Outgoing end =
        Change(fb::RequestBody::EndStream, [&](FlatBufferBuilder& b, uint64_t number) {
          const auto text = b.CreateString(reason.data(), reason.size());
          return fb::CreateEndStream(b, number, stream_.value(), failed, text).Union();
        });
    VY_RETURN_IF_ERROR(
        ReadDone(connection.Call(end, connection.Deadline(options.timeout))).status());
    ended_ = true;
    return {};
  }

  Status Push(ObjectId chunk, bool owns, const CallOptions& options) {
    Connection& connection = client_->connection();
    const Outgoing push =
        Change(fb::RequestBody::PushChunk, [&](FlatBufferBuilder& b, uint64_t number) {
          return fb::CreatePushChunk(b, number, stream_.value(), chunk.value(), owns).Union();
        });
    return ReadDone(connection.Call(push, connection.Deadline(options.timeout))).status();
  }

  /// Whether some wait to be read.
  bool HasChunks() {
    Connection& connection = client_->connection();
    const auto info = AskForStream(connection, stream_, connection.Deadline(std::nullopt));
    return info.ok() && info->queued > 0;
  }

  [[nodiscard]] Client::Impl& client() { return *client_; }
  [[nodiscard]] ObjectId stream() const { return stream_; }

 private:
  const std::shared_ptr<Client::Impl> client_;  // shared: a writer outlives its Client
  const uint64_t epoch_;
  const ObjectId stream_;
  std::mutex mutex_;   // guards all below
  uint64_t room_ = 0;  // at least so many chunks fit
  bool ended_ = false;
};

StreamWriter::StreamWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamWriter::StreamWriter(StreamWriter&&) noexcept = default;
StreamWriter& StreamWriter::operator=(StreamWriter&&) noexcept = default;
StreamWriter::~StreamWriter() = default;

ObjectId StreamWriter::stream() const { return impl_->stream(); }

Result<ObjectId> StreamWriter::Put(const ObjectBuilder& builder, const StreamCallOptions& options) {
  return impl_->Add(options, [&](const CallOptions& left) {
    Connection& connection = impl_->client().connection();
    while (true) {
      const os::TimePoint given_up = connection.Deadline(left.timeout);
      auto id = client::PutObject(connection, builder,
                                  {.timeout = left.timeout, .stream = impl_->stream()});
      // Memory that chunks hold comes back as they are read, however long that takes.
      const bool waited = id.status().Is(StatusCode::kOutOfMemory) && os::Clock::now() >= given_up;
      if (!waited || options.timeout || !impl_->HasChunks()) return id;
    }
  });
}

Result<ObjectId> StreamWriter::Put(MutableBlob&& blob, const StreamCallOptions& options) {
  const MutableBlob taken = std::move(blob);
  if (!taken.valid()) return Status::FailedPrecondition("this blob is sealed or given back");
  return impl_->Add(options, [&](const CallOptions& left) {
    const os::TimePoint deadline = impl_->client().connection().Deadline(left.timeout);
    return taken.reservation_->SealInto(impl_->stream(), deadline);
  });
}

Status StreamWriter::Push(ObjectId chunk, const PushOptions& options) {
  return impl_->Add({options.timeout}, [&](const CallOptions& left) {
    return impl_->Push(chunk, options.owns, left);
  });
}

Status StreamWriter::Finish(const CallOptions& options) { return impl_->End(false, {}, options); }

Status StreamWriter::Fail(std::string_view reason, const CallOptions& options) {
  return impl_->End(true, reason, options);
}

// ---- reading

class StreamReader::Impl {
 public:
  Impl(std::shared_ptr<Client::Impl> client, ObjectId stream, uint64_t number, uint64_t position)
      : client_(std::move(client)), epoch_(client_->epoch()), stream_(stream), number_(number),
        position_(position) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (epoch_ == client::ForkEpoch() && !client_->connection().closed()) {
      Close({kGoodbyeTime}).IgnoreError();
    }
  }

  Result<std::optional<ObjectId>> Next(const StreamCallOptions& options) {
    const std::lock_guard lock(mutex_);
    if (closed_) return Status::FailedPrecondition("this reader of a stream is closed");
    VY_ASSIGN_OR_RETURN(const DoneFields done,
                        AskUntil(client_->connection(), options, [this](os::TimePoint until) {
                          return Question(
                              fb::RequestBody::NextChunk, [this, until](auto& b, uint64_t) {
                                return fb::CreateNextChunk(b, stream_.value(), number_, position_,
                                                           client::MillisecondsUntil(until))
                                    .Union();
                              });
                        }));
    if (done.id == 0) return std::optional<ObjectId>();
    ++position_;
    return std::optional(ObjectId(done.id));
  }

  Status Close(const CallOptions& options) {
    const std::lock_guard lock(mutex_);
    if (closed_) return {};
    Connection& connection = client_->connection();
    const Outgoing leave =
        Change(fb::RequestBody::LeaveStream, [&](FlatBufferBuilder& b, uint64_t number) {
          return fb::CreateLeaveStream(b, number, stream_.value(), number_).Union();
        });
    Status left = ReadDone(connection.Call(leave, connection.Deadline(options.timeout))).status();
    // A stream that is gone needs no leaving.
    if (!left.ok() && !left.Is(StatusCode::kNotFound)) return left;
    closed_ = true;
    return {};
  }

  [[nodiscard]] ObjectId stream() const { return stream_; }

 private:
  const std::shared_ptr<Client::Impl> client_;  // shared: a reader outlives its Client
  const uint64_t epoch_;
  const ObjectId stream_;
  const uint64_t number_;
  std::mutex mutex_;   // guards all below
  uint64_t position_;  // the chunk to ask for
  bool closed_ = false;
};

StreamReader::StreamReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StreamReader::StreamReader(StreamReader&&) noexcept = default;
StreamReader& StreamReader::operator=(StreamReader&&) noexcept = default;
StreamReader::~StreamReader() = default;

ObjectId StreamReader::stream() const { return impl_->stream(); }

Result<std::optional<ObjectId>> StreamReader::Next(const StreamCallOptions& options) {
  return impl_->Next(options);
}

Status StreamReader::Close(const CallOptions& options) { return impl_->Close(options); }

// ---- the client's part

Status Client::CreateStream(ObjectId id, const StreamOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing create = Change(fb::RequestBody::CreateStream, [&](FlatBufferBuilder& b,
                                                                    uint64_t number) {
    return fb::CreateCreateStream(b, number, id.value(), options.capacity, options.readers).Union();
  });
  return ReadDone(connection.Call(create, connection.Deadline(options.timeout))).status();
}

namespace {

Result<DoneFields> Open(Connection& connection, ObjectId id, bool writes,
                        const CallOptions& options) {
  const Outgoing open =
      Change(fb::RequestBody::OpenStream, [&](FlatBufferBuilder& b, uint64_t number) {
        return fb::CreateOpenStream(b, number, id.value(), writes).Union();
      });
  return ReadDone(connection.Call(open, connection.Deadline(options.timeout)));
}

}  // namespace

Result<StreamWriter> Client::OpenStreamWriter(ObjectId id, const CallOptions& options) {
  VY_RETURN_IF_ERROR(Open(impl_->connection(), id, true, options).status());
  return StreamWriter(std::make_unique<StreamWriter::Impl>(impl_, id));
}

Result<StreamReader> Client::OpenStreamReader(ObjectId id, const CallOptions& options) {
  VY_ASSIGN_OR_RETURN(const DoneFields reader, Open(impl_->connection(), id, false, options));
  return StreamReader(std::make_unique<StreamReader::Impl>(impl_, id, reader.id, reader.value));
}

Status Client::DropStream(ObjectId id, const CallOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing drop =
      Change(fb::RequestBody::DropStream, [id](FlatBufferBuilder& b, uint64_t number) {
        return fb::CreateDropStream(b, number, id.value()).Union();
      });
  return ReadDone(connection.Call(drop, connection.Deadline(options.timeout))).status();
}

Result<StreamInfo> Client::GetStream(ObjectId id, const CallOptions& options) {
  Connection& connection = impl_->connection();
  return AskForStream(connection, id, connection.Deadline(options.timeout));
}

}  // namespace vineyard
