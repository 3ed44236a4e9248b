// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Streams: one program hands data over piece by piece while others read it.
//
// A stream is a bounded queue of chunks (objects or blobs) that belongs to an object. One client writes,
// several may read, and each reader gets every chunk, in order. A chunk goes when every reader has passed
// it; a writer that is ahead of the slowest reader by the stream's capacity waits. A stream lives in the
// instance: its state outlives the engine, its chunks are ordinary objects.
//
// A reader that is lost half-way (its process ends) leaves its place to another, which goes on where the
// chunks that are still there begin. A writer that ends without having finished the stream makes it fail:
// readers get what is there, and then the error.
//
// A StreamWriter and a StreamReader may be used from any thread, by one at a time: calls wait for each
// other. They outlive their Client, but not its Close.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vineyard/blob.h"
#include "vineyard/client.h"
#include "vineyard/ids.h"
#include "vineyard/object.h"
#include "vineyard/status.h"

namespace vineyard {

/// How long a call of a stream waits for the other side.
struct StreamCallOptions {
  std::optional<Timeout> timeout;  ///< nullopt: as long as it takes.
};

struct PushOptions {
  std::optional<Timeout> timeout;  ///< As in StreamCallOptions.
  /// From now on the object goes when neither a stream nor a name nor another object refers to it.
  bool owns = false;
};

class StreamWriter {
 public:
  StreamWriter(StreamWriter&&) noexcept;
  StreamWriter& operator=(StreamWriter&&) noexcept;
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;
  /// Unfinished: as Fail.
  ~StreamWriter();

  /// Stores the object as the next chunk, in one step. Waits for room in the stream, then for memory.
  /// kFailedPrecondition: the stream has been ended, or every reader has left it.
  /// kDeadlineExceeded: no reader made room in time.
  Result<ObjectId> Put(const ObjectBuilder& builder, const StreamCallOptions& options = {});
  /// Seals the blob as the next chunk. On failure the blob is given back.
  Result<ObjectId> Put(MutableBlob&& blob, const StreamCallOptions& options = {});
  /// An object that is stored already is the next chunk; it stays after it has been read, unless the
  /// stream is to own it.
  Status Push(ObjectId chunk, const PushOptions& options = {});

  /// Nothing follows: readers come to the end after the last chunk.
  Status Finish(const CallOptions& options = {});
  /// Nothing follows, and that is an error: readers get it after the last chunk.
  Status Fail(std::string_view reason, const CallOptions& options = {});

  [[nodiscard]] ObjectId stream() const;

  class Impl;

 private:
  friend class Client;
  explicit StreamWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class StreamReader {
 public:
  StreamReader(StreamReader&&) noexcept;
  StreamReader& operator=(StreamReader&&) noexcept;
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;
  /// As Close.
  ~StreamReader();

  /// The next chunk, for Client::Get or GetBlob; nullopt behind the last one of a finished stream. Calling
  /// it again says that the chunk before is no longer needed: what was got of it stays readable.
  /// kFailedPrecondition: the stream failed (says why), or this reader is closed.
  Result<std::optional<ObjectId>> Next(const StreamCallOptions& options = {});
  /// It wants no more: the writer does not wait for it.
  Status Close(const CallOptions& options = {});

  [[nodiscard]] ObjectId stream() const;

  class Impl;

 private:
  friend class Client;
  explicit StreamReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vineyard
