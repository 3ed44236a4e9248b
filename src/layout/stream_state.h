// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// StreamState: what a stream's record says: the queue of its chunks, who writes, who reads and how far.
// docs/formats/stream.md describes the bytes.
//
// A stream belongs to an object, whose id is its key. Chunks are counted from 0; each reader has a
// position, the chunk it takes next. A chunk stays in the queue until every reader has passed it, and
// until as many readers as the stream was made for have come. Plain values, without a thread of their own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vineyard::layout {

inline constexpr uint32_t kMaxStreamChunks = 4096;
inline constexpr uint32_t kMaxStreamReaders = 256;
inline constexpr size_t kMaxStreamReason = 1024;

enum class StreamPhase : uint32_t { kOpen = 0, kFinished = 1, kFailed = 2 };

struct StreamReaderState {
  uint64_t number = 0;    // counts from 1 within the stream
  uint64_t client = 0;    // its key
  uint64_t position = 0;  // the chunk it takes next
  bool operator==(const StreamReaderState&) const = default;
};

struct StreamState {
  StreamPhase phase = StreamPhase::kOpen;
  uint32_t capacity = 1;  // chunks that may wait
  uint32_t readers_wanted = 1;
  uint32_t places_taken = 0;  // readers that have come, without those that were lost on the way
  uint64_t first = 0;         // number of the first chunk in the queue
  uint64_t writer = 0;        // key of the client that writes; 0: nobody has come
  uint64_t next_reader = 1;
  std::vector<uint64_t> chunks;  // ids
  std::vector<StreamReaderState> readers;
  std::string reason;  // why it failed

  bool operator==(const StreamState&) const = default;

  [[nodiscard]] uint64_t end() const { return first + chunks.size(); }
  [[nodiscard]] uint32_t room() const {
    return chunks.size() < capacity ? capacity - static_cast<uint32_t>(chunks.size()) : 0;
  }
  /// Every reader it was made for has come, and none is left.
  [[nodiscard]] bool abandoned() const { return readers.empty() && places_taken >= readers_wanted; }
  [[nodiscard]] bool queued(uint64_t chunk) const {
    return std::ranges::find(chunks, chunk) != chunks.end();
  }
  [[nodiscard]] StreamReaderState* FindReader(uint64_t number) {
    const auto it = std::ranges::find(readers, number, &StreamReaderState::number);
    return it == readers.end() ? nullptr : &*it;
  }
  /// Takes what nobody is to read any more out of the queue, and returns those that are not in it again.
  std::vector<uint64_t> Trim();
};

std::vector<std::byte> EncodeStream(const StreamState& state);
/// nullopt: no stream's. The bytes may be anything.
std::optional<StreamState> DecodeStream(std::span<const std::byte> head);

}  // namespace vineyard::layout
