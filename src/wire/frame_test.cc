// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/frame.h"

#include <cstring>
#include <random>
#include <string>

#include "base/testing.h"

namespace vineyard::wire {
namespace {

std::string FrameBytes(FrameHeader header, std::string_view body, std::string_view payload) {
  header.body_length = static_cast<uint32_t>(body.size());
  header.payload_length = payload.size();
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += body;
  bytes.resize(sizeof header + Pad8(body.size()));
  bytes += payload;
  bytes.resize(sizeof header + Pad8(body.size()) + Pad8(payload.size()));
  return bytes;
}

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Fills at most `most` bytes; returns how many.
size_t Feed(FrameReader& reader, std::string_view bytes, size_t most = SIZE_MAX) {
  const auto space = reader.Space();
  const size_t n = std::min({space.size(), bytes.size(), most});
  std::memcpy(space.data(), bytes.data(), n);
  reader.Filled(n);
  return n;
}

TEST(Frame, BytesOfAnotherProtocolAreRefused) {
  FrameReader reader;
  Feed(reader, "GET / HTTP/1.1\r\nHost: example\r\nAccept: */*\r\n\r\n");
  EXPECT_CODE(kProtocol, reader.Next());
}

TEST(Frame, OneByteOfMagicWrongIsRefused) {
  for (size_t i = 0; i < 4; ++i) {
    std::string bytes = FrameBytes({}, "body", "");
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    FrameReader reader;
    Feed(reader, bytes);
    EXPECT_CODE(kProtocol, reader.Next());
  }
}

TEST(Frame, OverTheLimitIsRefusedBeforeItsBytesCome) {
  for (const bool body : {true, false}) {
    FrameHeader header;
    header.body_length = body ? static_cast<uint32_t>(kMaxBody) + 1 : 0;
    header.payload_length = body ? 0 : kMaxPayload + 1;
    FrameReader reader;
    Feed(reader, {reinterpret_cast<const char*>(&header), sizeof header});
    EXPECT_CODE(kProtocol, reader.Next());
  }
  FrameHeader huge;
  huge.payload_length = ~uint64_t{0};
  FrameReader reader;
  Feed(reader, {reinterpret_cast<const char*>(&huge), sizeof huge});
  EXPECT_CODE(kProtocol, reader.Next());
}

TEST(Frame, ATruncatedFrameIsNeverGivenOut) {
  const std::string bytes = FrameBytes({}, "a body", "and a payload");
  for (size_t n = 0; n < bytes.size(); ++n) {
    FrameReader reader;
    Feed(reader, std::string_view(bytes).substr(0, n));
    ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next());
    ASSERT_FALSE(frame.has_value()) << n;
  }
}

TEST(Frame, AnAnnouncedLengthTakesNoMemoryUntilItsBytesCome) {
  FrameHeader header;
  header.payload_length = kMaxPayload;
  FrameReader reader;
  Feed(reader, {reinterpret_cast<const char*>(&header), sizeof header});
  ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next());
  ASSERT_FALSE(frame.has_value());
  EXPECT_LE(reader.Space().size(), size_t{2} << 20);
}

TEST(Frame, EmptyBodiesAndPayloadsAreFrames) {
  FrameReader reader;
  Feed(reader, FrameBytes({.request_id = 7, .acknowledged = 8, .fd_count = 9}, "", ""));
  ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next());
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->header.request_id, 7u);
  EXPECT_EQ(frame->header.acknowledged, 8u);
  EXPECT_EQ(frame->header.fd_count, 9u);
  EXPECT_TRUE(frame->body.empty());
  EXPECT_TRUE(frame->payload.empty());
}

TEST(Frame, TheSameFramesComeOutHoweverTheBytesAreCut) {
  std::mt19937 random(1);
  std::string stream;
  std::vector<std::pair<std::string, std::string>> sent;
  for (int i = 0; i < 200; ++i) {
    std::string body(random() % 300, static_cast<char>('a' + i % 26));
    std::string payload(i % 40 == 0 ? random() % 300'000 : random() % 100, 'p');
    stream += FrameBytes({.request_id = static_cast<uint64_t>(i)}, body, payload);
    sent.emplace_back(std::move(body), std::move(payload));
  }
  for (const size_t most : {size_t{1}, size_t{7}, size_t{4096}, size_t{1} << 20}) {
    FrameReader reader;
    size_t at = 0;
    size_t seen = 0;
    while (at < stream.size()) {
      at += Feed(reader, std::string_view(stream).substr(at), most);
      while (true) {
        ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next());
        if (!frame) break;
        ASSERT_EQ(frame->header.request_id, seen);
        ASSERT_EQ(Text(frame->body), sent[seen].first);
        ASSERT_EQ(Text(frame->payload), sent[seen].second);
        ASSERT_EQ(reinterpret_cast<uintptr_t>(frame->body.data()) % 8, 0u);
        ASSERT_EQ(reinterpret_cast<uintptr_t>(frame->payload.data()) % 8, 0u);
        ++seen;
      }
    }
    EXPECT_EQ(seen, sent.size()) << most;
  }
}

TEST(Frame, TheLargestFramePasses) {
  const std::string bytes =
      FrameBytes({}, std::string(kMaxBody, 'b'), std::string(kMaxPayload, 'p'));
  FrameReader reader;
  size_t at = 0;
  std::optional<Frame> frame;
  while (at < bytes.size()) {
    at += Feed(reader, std::string_view(bytes).substr(at));
    auto next = reader.Next();
    ASSERT_OK(next);
    frame = *next;
  }
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->body.size(), kMaxBody);
  EXPECT_EQ(frame->payload.size(), kMaxPayload);
}

TEST(Frame, NothingOfTheNextFrameComesIntoTheMemoryOfALargeOne) {
  const std::string large = FrameBytes({.request_id = 1}, "", std::string(200'000, 'p'));
  const std::string stream = large + FrameBytes({.request_id = 2}, "next", "");
  FrameReader reader;
  size_t at = 0;
  std::optional<Frame> frame;
  while (!frame) {
    at += Feed(reader, std::string_view(stream).substr(at));
    ASSERT_OK_AND_ASSIGN(frame, reader.Next());
    ASSERT_EQ(reader.wanted(), frame ? 0 : large.size());
  }
  EXPECT_EQ(at, large.size());
  EXPECT_TRUE(reader.Empty());
  Feed(reader, std::string_view(stream).substr(at));
  ASSERT_OK_AND_ASSIGN(frame, reader.Next());
  ASSERT_TRUE(frame);
  EXPECT_EQ(Text(frame->body), "next");
}

// As a ring's memory is emptied before anybody looks what is in it.
TEST(Frame, MayBeFilledSeveralTimesBeforeItIsAsked) {
  std::string stream;
  for (uint64_t i = 0; i < 50; ++i) {
    stream += FrameBytes({.request_id = i}, "", std::string(i % 5 * 30'000, 'p'));
  }
  FrameReader reader;
  for (size_t at = 0; at < stream.size();) {
    const size_t fed = Feed(reader, std::string_view(stream).substr(at));
    ASSERT_GT(fed, 0U);
    at += fed;
  }
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto frame, reader.Next());
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->header.request_id, i);
    ASSERT_EQ(frame->payload.size(), i % 5 * 30'000);
  }
}

TEST(Frame, MemoryTakenForALargeFrameIsGivenBack) {
  FrameReader reader;
  const std::string bytes = FrameBytes({}, "", std::string(8 << 20, 'p'));
  size_t at = 0;
  while (at < bytes.size()) {
    at += Feed(reader, std::string_view(bytes).substr(at));
    ASSERT_OK(reader.Next());
  }
  EXPECT_LE(reader.Space().size(), size_t{64} << 10);
}

}  // namespace
}  // namespace vineyard::wire
