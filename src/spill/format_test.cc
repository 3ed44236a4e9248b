// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/format.h"

#include <cstring>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/disk_file.h"

namespace vineyard::spill {
namespace {

using Bytes = std::vector<std::byte>;

Head ExampleHead(uint64_t description, uint64_t size) {
  Head head;
  head.key = {.volume = 1, .id = 0x8000000000000123, .kind = 1, .instance = 0xabc};
  head.place = {7, 8};
  head.size = size;
  head.written_ns = 1'767'225'600'000'000'000;
  head.description.assign(description, std::byte{'d'});
  for (uint64_t i = 0; i < BlocksOf(size); ++i) head.checksums.push_back(i + 100);
  return head;
}

Bytes Encoded(const Head& head) {
  Bytes bytes(HeadLength(head.description.size(), head.size));
  EncodeHead(head, bytes);
  return bytes;
}

TEST(SpillFormat, HeadsComeBackAsTheyWere) {
  for (const uint64_t description : {0U, 1U, 7U, 8U, 4000U, 100'000U}) {
    for (const uint64_t size : {uint64_t{0}, uint64_t{1}, kBlock, kBlock + 1, 1000 * kBlock}) {
      const Head head = ExampleHead(description, size);
      const Bytes bytes = Encoded(head);
      const uint64_t file = FileLength(description, size);
      EXPECT_EQ(bytes.size() % os::kDiskAlign, 0U);
      ASSERT_OK_AND_ASSIGN(const uint64_t length,
                           ReadHeadLength(std::span(bytes).first(os::kDiskAlign), file));
      EXPECT_EQ(length, bytes.size());
      ASSERT_OK_AND_ASSIGN(const Head back, DecodeHead(bytes, file));
      EXPECT_EQ(back.key, head.key);
      EXPECT_EQ(back.place, head.place);
      EXPECT_EQ(back.size, size);
      EXPECT_EQ(back.written_ns, head.written_ns);
      EXPECT_EQ(back.description, head.description);
      EXPECT_EQ(back.checksums, head.checksums);
    }
  }
}

TEST(SpillFormat, EveryBitOfAHeadCounts) {
  const Head head = ExampleHead(33, 2 * kBlock);
  Bytes bytes = Encoded(head);
  const uint64_t file = FileLength(33, head.size);
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(DecodeHead(bytes, file).ok()) << at << ":" << bit;
      bytes[at] ^= std::byte{1} << bit;
    }
  }
  ASSERT_OK(DecodeHead(bytes, file));
}

TEST(SpillFormat, AHeadOfAnyOtherLengthIsNone) {
  const Head head = ExampleHead(33, kBlock);
  const Bytes bytes = Encoded(head);
  const uint64_t file = FileLength(33, head.size);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_CODE(kCorrupted, DecodeHead(std::span(bytes).first(length), file)) << length;
  }
  for (const uint64_t other : {uint64_t{0}, file - 1, file + 1, 2 * file, ~uint64_t{0}}) {
    EXPECT_CODE(kCorrupted, DecodeHead(bytes, other)) << other;
    EXPECT_CODE(kCorrupted, ReadHeadLength(bytes, other)) << other;
  }
}

// Bytes whose checksum is right, but which no writer writes.
TEST(SpillFormat, WhatNoWriterWritesIsRefusedThoughItsChecksumIsRight) {
  const Head head = ExampleHead(3, kBlock);
  const Bytes good = Encoded(head);
  const uint64_t file = FileLength(3, head.size);
  const auto with = [&](size_t at, auto value) {
    Bytes bytes = good;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    const uint64_t sum = HeadChecksum(bytes);
    std::memcpy(bytes.data() + kFixedHead - 8, &sum, sizeof sum);
    return DecodeHead(bytes, file);
  };
  EXPECT_OK(with(0, 'Y'));
  EXPECT_CODE(kNotSupported, with(0x08, uint32_t{2}));
  EXPECT_CODE(kCorrupted, with(0x0c, uint32_t{0}));
  EXPECT_CODE(kCorrupted, with(0x0c, uint32_t{0x100}));
  EXPECT_CODE(kCorrupted, with(0x30, ~uint64_t{0}));
  EXPECT_CODE(kCorrupted, with(0x38, uint64_t{8192}));
  EXPECT_CODE(kCorrupted, with(0x40, uint32_t{4096}));
  EXPECT_CODE(kCorrupted, with(0x44, ~uint32_t{0}));
  EXPECT_CODE(kCorrupted, with(kFixedHead + 3, 'x')) << "behind the description";
  EXPECT_CODE(kCorrupted, with(good.size() - 1, 'x')) << "behind the checksums";
}

TEST(SpillFormat, AFileThatWasNeverFinishedSaysSo) {
  const Bytes zeros(os::kDiskAlign);
  const Status status = ReadHeadLength(zeros, 1 << 20).status();
  EXPECT_CODE(kCorrupted, status);
  EXPECT_NE(status.message().find("not written to its end"), std::string::npos);
}

TEST(SpillFormat, NamesComeBackAsKeysAndNothingElseDoes) {
  const Key key{.volume = 0xabc, .id = ~uint64_t{0}, .kind = 0x1f};
  EXPECT_EQ(FileName(key), "1f-0000000000000abc-ffffffffffffffff.spill");
  ASSERT_TRUE(ParseName(FileName(key)));
  EXPECT_EQ(ParseName(FileName(key))->key, key);
  EXPECT_FALSE(ParseName(FileName(key))->part);
  Key of_instance = key;
  of_instance.instance = 0x2a;
  EXPECT_EQ(FileName(of_instance), "1f-0000000000000abc-ffffffffffffffff-000000000000002a.spill");
  ASSERT_TRUE(ParseName(PartName(of_instance)));
  EXPECT_EQ(ParseName(PartName(of_instance))->key, of_instance);
  ASSERT_TRUE(ParseName(PartName(key)));
  EXPECT_TRUE(ParseName(PartName(key))->part);
  for (const char* other : {"",
                            ".",
                            "..",
                            "lock",
                            ".spill",
                            "1f-0000000000000abc-ffffffffffffffff",
                            "1F-0000000000000abc-ffffffffffffffff.spill",
                            "1f-0000000000000ABC-ffffffffffffffff.spill",
                            "1f-+000000000000abc-ffffffffffffffff.spill",
                            "1f--000000000000abc-ffffffffffffffff.spill",
                            "00-0000000000000abc-ffffffffffffffff.spill",
                            "1f_0000000000000abc-ffffffffffffffff.spill",
                            "1f-0000000000000abc-ffffffffffffffff.spill.part.part",
                            "1f-0000000000000abc-fffffffffffffff .spill",
                            "1f-0000000000000abc-ffffffffffffffff.spill~",
                            "x1f-0000000000000abc-ffffffffffffffff.spill",
                            "1f-0000000000000abc-ffffffffffffffff-.spill",
                            "1f-0000000000000abc-ffffffffffffffff-0000000000000000.spill",
                            "1f-0000000000000abc-ffffffffffffffff-000000000000001.spill",
                            "1f-0000000000000abc-ffffffffffffffff_0000000000000001.spill",
                            "1f-0000000000000abc-ffffffffffffffff-000000000000000A.spill"}) {
    EXPECT_FALSE(ParseName(other)) << other;
  }
}

TEST(SpillFormat, EveryBitOfAnIdentityCounts) {
  std::array<std::byte, kIdentityLength> bytes;
  EncodeIdentity({1, 2}, bytes);
  EXPECT_EQ(DecodeIdentity(bytes).value(), (Uuid{1, 2}));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= std::byte{1} << bit;
      EXPECT_FALSE(DecodeIdentity(bytes).ok()) << at << ":" << bit;
      bytes[at] ^= std::byte{1} << bit;
    }
    EXPECT_CODE(kCorrupted, DecodeIdentity(std::span(bytes).first(at)));
  }
}

}  // namespace
}  // namespace vineyard::spill
