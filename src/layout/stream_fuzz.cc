// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arbitrary bytes as a stream's record, which a new engine finds. What passes for one is one.
#include <algorithm>

#include "layout/stream_state.h"
#include "vineyard/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::layout;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  auto stream = DecodeStream(bytes);
  if (!stream) return 0;
  VY_CHECK(DecodeStream(EncodeStream(*stream)) == stream);
  VY_CHECK(stream->room() <= stream->capacity);
  const uint64_t end = stream->end();
  for (const uint64_t gone : stream->Trim()) VY_CHECK(!stream->queued(gone));
  VY_CHECK(stream->end() == end);
  return 0;
}
