// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/stream_state.h"

#include <functional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vineyard::layout {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StreamState Example() {
  StreamState state;
  state.capacity = 4;
  state.readers_wanted = 2;
  state.places_taken = 2;
  state.first = 7;
  state.writer = 11;
  state.next_reader = 3;
  state.chunks = {101, 102, 103};
  state.readers = {{1, 21, 8}, {2, 22, 10}};
  state.reason = "because";
  return state;
}

TEST(StreamState, ComesBackAsItWasWritten) {
  EXPECT_EQ(DecodeStream(EncodeStream(Example())), Example());
  EXPECT_EQ(DecodeStream(EncodeStream(StreamState())), StreamState());
}

TEST(StreamState, WhatIsCutOffOrTooLongIsNone) {
  std::vector<std::byte> bytes = EncodeStream(Example());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(DecodeStream(std::span(bytes).first(length)), std::nullopt) << length;
  }
  bytes.push_back(std::byte{0});
  EXPECT_EQ(DecodeStream(bytes), std::nullopt);
}

TEST(StreamState, WhatContradictsItselfIsNone) {
  const auto refused = [](const std::function<void(StreamState&)>& break_it) {
    StreamState state = Example();
    break_it(state);
    EXPECT_EQ(DecodeStream(EncodeStream(state)), std::nullopt);
  };
  refused([](StreamState& s) { s.phase = static_cast<StreamPhase>(3); });
  refused([](StreamState& s) { s.capacity = 0; });
  refused([](StreamState& s) { s.capacity = kMaxStreamChunks + 1; });
  refused([](StreamState& s) { s.capacity = 2; });
  refused([](StreamState& s) { s.readers_wanted = 0; });
  refused([](StreamState& s) { s.readers_wanted = kMaxStreamReaders + 1; });
  refused([](StreamState& s) { s.readers.resize(kMaxStreamReaders + 1, {1, 1, 8}); });
  refused([](StreamState& s) { s.readers[0].position = 6; });
  refused([](StreamState& s) { s.readers[1].position = 11; });
  refused([](StreamState& s) { s.reason.assign(kMaxStreamReason + 1, 'x'); });
  refused([](StreamState& s) { s.first = UINT64_MAX - 2; });
}

TEST(StreamState, AnyBytesAreReadOrRefused) {
  std::mt19937 random(1);
  const std::vector<std::byte> good = EncodeStream(Example());
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes = good;
    for (unsigned n = random() % 4 + 1; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    if (const auto state = DecodeStream(bytes)) {
      EXPECT_EQ(EncodeStream(*state).size(), bytes.size());
    }
  }
}

TEST(StreamState, AChunkStaysUntilTheSlowestReaderHasPassedIt) {
  StreamState state = Example();
  EXPECT_THAT(state.Trim(), ElementsAre(101));
  EXPECT_EQ(state.first, 8U);
  EXPECT_THAT(state.chunks, ElementsAre(102, 103));
  EXPECT_EQ(state.room(), 2U);
  EXPECT_THAT(state.Trim(), IsEmpty());
  state.readers.erase(state.readers.begin());
  EXPECT_THAT(state.Trim(), ElementsAre(102, 103));
  EXPECT_EQ(state.end(), 10U);
}

TEST(StreamState, AChunkStaysUntilAllReadersHaveCome) {
  StreamState state = Example();
  state.places_taken = 1;
  state.readers.pop_back();
  EXPECT_THAT(state.Trim(), IsEmpty());
  state.readers.clear();
  EXPECT_THAT(state.Trim(), IsEmpty());
  EXPECT_FALSE(state.abandoned());
  state.places_taken = 2;
  EXPECT_TRUE(state.abandoned());
  EXPECT_THAT(state.Trim(), ElementsAre(101, 102, 103));
}

TEST(StreamState, AChunkThatWaitsTwiceGoesWithItsLastPlace) {
  StreamState state = Example();
  state.chunks = {101, 102, 101};
  state.readers = {{1, 21, 9}, {2, 22, 10}};
  EXPECT_THAT(state.Trim(), ElementsAre(102));
  state.readers[0].position = 10;
  EXPECT_THAT(state.Trim(), ElementsAre(101));
}

}  // namespace
}  // namespace vineyard::layout
