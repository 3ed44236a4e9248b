// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/frame.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vineyard::wire {

namespace {
constexpr size_t kUsualSpace = size_t{64} << 10;
constexpr size_t kGrowth = size_t{1} << 20;  // memory follows bytes that came, not bytes announced
constexpr std::array<std::byte, 8> kPadding{};

iovec Part(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

iovec PaddingAfter(uint64_t length) {
  return Part(std::span(kPadding).first(Pad8(length) - length));
}

}  // namespace

std::vector<iovec> PartsOf(FrameHeader& header, std::span<const std::byte> body,
                           std::span<const std::span<const std::byte>> payload) {
  std::vector<iovec> parts;
  parts.reserve(payload.size() + 4);
  parts.push_back(Part(std::as_bytes(std::span(&header, 1))));
  parts.push_back(Part(body));
  parts.push_back(PaddingAfter(body.size()));
  header.body_length = static_cast<uint32_t>(body.size());
  header.payload_length = 0;
  for (const auto& part : payload) {
    header.payload_length += part.size();
    if (!part.empty()) parts.push_back(Part(part));
  }
  parts.push_back(PaddingAfter(header.payload_length));
  return parts;
}

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
