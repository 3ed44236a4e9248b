// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <array>

#include "wire/frame.h"

namespace vineyard::wire {

namespace {

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

}  // namespace vineyard::wire
