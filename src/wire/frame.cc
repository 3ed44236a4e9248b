// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/frame.h"

#include <algorithm>
#include <cstring>

namespace vineyard::wire {

namespace {
constexpr size_t kUsualSpace = size_t{64} << 10;
constexpr size_t kGrowth = size_t{1} << 20;  // memory follows bytes that came, not bytes announced
}  // namespace

FrameReader::FrameReader() : words_(kUsualSpace / 8) {}

std::span<std::byte> FrameReader::Space() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == capacity() && begin_ > 0) {
    std::memmove(data(), data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity()) {
    const size_t more = std::min(wanted_ > capacity() ? wanted_ - capacity() : kGrowth, kGrowth);
    words_.resize(words_.size() + (more + 7) / 8);
  } else if (end_ == 0 && capacity() > kUsualSpace && wanted_ == 0) {
    words_.resize(kUsualSpace / 8);
    words_.shrink_to_fit();
  }
  return {data() + end_, capacity() - end_};
}

Result<std::optional<Frame>> FrameReader::Next() {
  const size_t have = end_ - begin_;
  if (have < sizeof(FrameHeader)) return std::optional<Frame>();
  Frame frame;
  std::memcpy(&frame.header, data() + begin_, sizeof(FrameHeader));
  const FrameHeader& h = frame.header;
  if (h.magic != kFrameMagic) {
    return Status::Protocol("these bytes are no frame of this protocol's version");
  }
  if (h.body_length > kMaxBody || h.payload_length > kMaxPayload) {
    return Status::Protocol("a frame of " + std::to_string(h.body_length) + " + " +
                            std::to_string(h.payload_length) + " bytes is over the limit");
  }
  const size_t size = sizeof(FrameHeader) + Pad8(h.body_length) + Pad8(h.payload_length);
  if (have < size) {
    wanted_ = size;
    return std::optional<Frame>();
  }
  const std::byte* body = data() + begin_ + sizeof(FrameHeader);
  frame.body = {body, h.body_length};
  frame.payload = {body + Pad8(h.body_length), h.payload_length};
  begin_ += size;
  wanted_ = 0;
  return std::optional<Frame>(frame);
}

}  // namespace vineyard::wire
