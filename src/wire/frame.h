// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Frames: how messages follow each other on a stream.
//
//   FrameHeader (40 bytes) | body, a FlatBuffer, padded to 8 | payload, raw bytes, padded to 8
//
// Every frame is a multiple of 8 bytes long, so that what lies in a receive buffer is aligned for
// FlatBuffers. A FrameReader belongs to one connection and its thread; what it hands out stays valid
// until the next call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::wire {

inline constexpr uint32_t kFrameMagic = 0x31465956;  // "VYF1"
inline constexpr uint32_t kProtocolVersion = 1;
/// Bodies are small; descriptors and small objects travel as payload.
inline constexpr uint64_t kMaxBody = uint64_t{16} << 20;
inline constexpr uint64_t kMaxPayload = uint64_t{65} << 20;
/// Of one request, which keeps the instance's thread for 0.1 ms then.
inline constexpr size_t kMostDeleted = 256;

struct FrameHeader {
  uint32_t magic = kFrameMagic;
  uint32_t body_length = 0;  // unpadded
  uint64_t request_id = 0;   // chosen by who asks; the answer carries it. 0: no answer
  uint64_t acknowledged =
      0;  // client: it has the answers of its changing requests up to this number
  uint64_t payload_length = 0;  // unpadded
  uint32_t fd_count = 0;        // descriptors that come with this frame
  uint32_t reserved = 0;
};
static_assert(sizeof(FrameHeader) == 40, "crosses the wire");

constexpr uint64_t Pad8(uint64_t n) { return (n + 7) & ~uint64_t{7}; }

struct Frame {
  FrameHeader header;
  std::span<const std::byte> body;
  std::span<const std::byte> payload;
};

/// What to send for one frame, in order, with the padding. Sets the header's lengths; the vector refers to
/// the header, the body and the payload.
std::vector<iovec> PartsOf(FrameHeader& header, std::span<const std::byte> body,
                           std::span<const std::span<const std::byte>> payload);

class FrameReader {
 public:
  FrameReader();
  FrameReader(FrameReader&& other) noexcept { *this = std::move(other); }
  FrameReader& operator=(FrameReader&& other) noexcept;

  /// Where to receive to; never beyond the end of a frame that is larger than usual. Empty: there is no memory for it.
  std::span<std::byte> Space();
  void Filled(size_t bytes) { end_ += bytes; }

  /// The next whole frame, nullopt when more bytes are needed, kProtocol when what came is no frame
  /// (the stream can't be followed any further).
  Result<std::optional<Frame>> Next();

  /// Nothing that was handed out is used any more. Gives memory back that a large frame took; Next does so too.
  void Trim();

  /// True when nothing of a further frame has come yet.
  [[nodiscard]] bool Empty() const { return begin_ == end_; }
  /// Bytes of the frame that has come in part, once Next has seen its header; 0: there is none. More than kUsualSpace:
  /// memory will be taken for it, and nothing that comes after it lies there.
  [[nodiscard]] size_t wanted() const { return wanted_; }

  static constexpr size_t kUsualSpace = size_t{64} << 10;

 private:
  bool Grow();

  std::unique_ptr<uint64_t[]> words_;  // not bytes, so that frames are aligned
  size_t capacity_ = 0;                // bytes, as all that follow
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t wanted_ = 0;

  std::byte* data() { return reinterpret_cast<std::byte*>(words_.get()); }
};

}  // namespace vineyard::wire
