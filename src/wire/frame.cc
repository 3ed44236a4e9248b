// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/frame.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace vineyard::wire {

namespace {
constexpr size_t kLeastGrowth = size_t{1} << 20;

std::unique_ptr<uint64_t[]> Allocate(size_t bytes) {
  return std::unique_ptr<uint64_t[]>(new (std::nothrow) uint64_t[bytes / 8]);
}
}  // namespace

FrameReader::FrameReader()
    : words_(std::make_unique_for_overwrite<uint64_t[]>(kUsualSpace / 8)), capacity_(kUsualSpace) {}

FrameReader& FrameReader::operator=(FrameReader&& other) noexcept {
  words_ = std::move(other.words_);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  wanted_ = std::exchange(other.wanted_, 0);
  return *this;
}

std::span<std::byte> FrameReader::Space() {
  Trim();
  if (end_ == capacity_ && begin_ > 0) {
    std::memmove(data(), data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_ && !Grow()) return {};
  size_t space = capacity_ - end_;
  const size_t have = end_ - begin_;
  if (wanted_ > kUsualSpace && have < wanted_) space = std::min(space, wanted_ - have);
  return {data() + end_, space};
}

// Memory follows bytes that came, not bytes announced.
bool FrameReader::Grow() {
  const size_t most = wanted_ > capacity_ ? wanted_ : capacity_ + kUsualSpace;
  const size_t larger = std::min(most, capacity_ + std::max(capacity_, kLeastGrowth));
  auto words = Allocate(larger);
  if (words == nullptr) return false;
  std::memcpy(words.get(), data(), end_);
  words_ = std::move(words);
  capacity_ = larger;
  return true;
}

void FrameReader::Trim() {
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  if (capacity_ == kUsualSpace) return;
  if (auto words = Allocate(kUsualSpace)) {
    words_ = std::move(words);
    capacity_ = kUsualSpace;
  }
}

Result<std::optional<Frame>> FrameReader::Next() {
  Trim();
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
