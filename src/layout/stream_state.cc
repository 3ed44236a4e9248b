// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/stream_state.h"

#include <cstring>
#include <limits>

namespace vineyard::layout {

namespace {

struct StreamHead {
  uint32_t version;
  uint32_t phase;
  uint32_t capacity;
  uint32_t readers_wanted;
  uint32_t places_taken;
  uint32_t chunk_count;
  uint32_t reader_count;
  uint32_t reason_length;
  uint64_t first;
  uint64_t writer;
  uint64_t next_reader;
  uint64_t reserved;
};
static_assert(sizeof(StreamHead) == 64, "lies in shared memory, before chunks, readers and reason");
static_assert(sizeof(StreamReaderState) == 24, "lies in shared memory");

constexpr uint32_t kStreamVersion = 1;

void CopyBytes(void* to, const void* from, size_t length) {
  if (length != 0) std::memcpy(to, from, length);
}

}  // namespace

std::vector<uint64_t> StreamState::Trim() {
  uint64_t keep_from = places_taken < readers_wanted ? first : end();
  for (const StreamReaderState& reader : readers) {
    keep_from = std::min(keep_from, reader.position);
  }
  if (keep_from <= first) return {};
  const auto past = chunks.begin() + static_cast<std::ptrdiff_t>(keep_from - first);
  std::vector<uint64_t> passed(chunks.begin(), past);
  chunks.erase(chunks.begin(), past);
  first = keep_from;
  std::ranges::sort(passed);
  passed.erase(std::ranges::unique(passed).begin(), passed.end());
  std::erase_if(passed, [this](uint64_t chunk) { return queued(chunk); });
  return passed;
}

std::vector<std::byte> EncodeStream(const StreamState& state) {
  const StreamHead head{
      .version = kStreamVersion,
      .phase = static_cast<uint32_t>(state.phase),
      .capacity = state.capacity,
      .readers_wanted = state.readers_wanted,
      .places_taken = state.places_taken,
      .chunk_count = static_cast<uint32_t>(state.chunks.size()),
      .reader_count = static_cast<uint32_t>(state.readers.size()),
      .reason_length = static_cast<uint32_t>(state.reason.size()),
      .first = state.first,
      .writer = state.writer,
      .next_reader = state.next_reader,
      .reserved = 0,
  };
  const size_t chunks = state.chunks.size() * sizeof(uint64_t);
  const size_t readers = state.readers.size() * sizeof(StreamReaderState);
  std::vector<std::byte> bytes(sizeof head + chunks + readers + state.reason.size());
  std::byte* at = bytes.data();
  CopyBytes(at, &head, sizeof head);
  CopyBytes(at += sizeof head, state.chunks.data(), chunks);
  CopyBytes(at += chunks, state.readers.data(), readers);
  CopyBytes(at + readers, state.reason.data(), state.reason.size());
  return bytes;
}

std::optional<StreamState> DecodeStream(std::span<const std::byte> bytes) {
  StreamHead head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.version != kStreamVersion || head.phase > static_cast<uint32_t>(StreamPhase::kFailed) ||
      head.capacity == 0 || head.capacity > kMaxStreamChunks || head.readers_wanted == 0 ||
      head.readers_wanted > kMaxStreamReaders || head.chunk_count > head.capacity ||
      head.reader_count > kMaxStreamReaders || head.reason_length > kMaxStreamReason ||
      head.first > std::numeric_limits<uint64_t>::max() - kMaxStreamChunks) {
    return std::nullopt;
  }
  const size_t chunks = head.chunk_count * sizeof(uint64_t);
  const size_t readers = head.reader_count * sizeof(StreamReaderState);
  if (bytes.size() != sizeof head + chunks + readers + head.reason_length) return std::nullopt;
  StreamState state;
  state.phase = static_cast<StreamPhase>(head.phase);
  state.capacity = head.capacity;
  state.readers_wanted = head.readers_wanted;
  state.places_taken = head.places_taken;
  state.first = head.first;
  state.writer = head.writer;
  state.next_reader = head.next_reader;
  state.chunks.resize(head.chunk_count);
  state.readers.resize(head.reader_count);
  const std::byte* at = bytes.data() + sizeof head;
  CopyBytes(state.chunks.data(), at, chunks);
  CopyBytes(state.readers.data(), at + chunks, readers);
  state.reason.assign(reinterpret_cast<const char*>(at + chunks + readers), head.reason_length);
  for (const StreamReaderState& reader : state.readers) {
    if (reader.position < state.first || reader.position > state.end()) return std::nullopt;
  }
  return state;
}

}  // namespace vineyard::layout
