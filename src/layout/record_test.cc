// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/record.h"

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "base/testing.h"

namespace vineyard::layout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class Record : public ::testing::Test {
 protected:
  static constexpr uint64_t kSlot = 4096;
  struct alignas(64) Slot {
    std::array<std::byte, kSlot> bytes{};
  };
  std::byte* at() { return slot_->bytes.data(); }

  static RecordFields Fields() {
    RecordFields f;
    f.kind = RecordKind::kObject;
    f.flags = kFlagOwned;
    f.id = 77;
    f.value = 5;
    f.creator = 123;
    return f;
  }

  std::unique_ptr<Slot> slot_ = std::make_unique<Slot>();
};

TEST_F(Record, AFreeSlotReadsAsNothing) { EXPECT_FALSE(TryReadRecord(at(), kSlot).has_value()); }

TEST_F(Record, AnErasedSlotReadsAsNothing) {
  WriteRecord(at(), Fields(), Bytes("head"), Bytes("bytes"), 1);
  EraseRecord(at());
  EXPECT_FALSE(TryReadRecord(at(), kSlot).has_value());
  EXPECT_EQ(SequenceOf(at()), 0u);
}

TEST_F(Record, LengthsBehindTheArenaReadAsNothing) {
  const uint64_t size = RecordSize(100, 1000);
  WriteRecord(at(), Fields(), Bytes(std::string(100, 'h')), Bytes(std::string(1000, 'b')), 1);
  EXPECT_TRUE(TryReadRecord(at(), size).has_value());
  for (uint64_t available = kRecordHeader; available < size; available += 8) {
    const auto copy = TryReadRecord(at(), available);
    // The padding of the end may be missing, nothing else.
    EXPECT_EQ(copy.has_value(), available >= BytesOffset(100) + 1000) << available;
  }
}

TEST_F(Record, NonsenseLengthsReadAsNothing) {
  WriteRecord(at(), Fields(), Bytes("head"), Bytes("bytes"), 1);
  RecordFields nonsense = FieldsOf(at());
  for (const uint64_t length : {kSlot, kSlot - 64, uint64_t{1} << 32, ~uint64_t{0},
                                ~uint64_t{0} - 63, ~uint64_t{0} - 127}) {
    nonsense.bytes_length = length;
    std::memcpy(at() + 8, &nonsense, sizeof nonsense);
    EXPECT_FALSE(TryReadRecord(at(), kSlot).has_value()) << length;
  }
  nonsense.bytes_length = 5;
  nonsense.head_length = ~uint32_t{0};
  std::memcpy(at() + 8, &nonsense, sizeof nonsense);
  EXPECT_FALSE(TryReadRecord(at(), kSlot).has_value());
}

TEST_F(Record, ComesBackAsItWasForEveryLength) {
  for (size_t head = 0; head <= 130; ++head) {
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{63}, head}) {
      const std::string h(head, 'h');
      const std::string b(bytes, 'b');
      WriteRecord(at(), Fields(), Bytes(h), Bytes(b), head + 1);
      const auto copy = TryReadRecord(at(), kSlot);
      ASSERT_TRUE(copy.has_value());
      EXPECT_EQ(copy->head_text(), h);
      EXPECT_TRUE(std::ranges::equal(copy->bytes(), Bytes(b)));
      EXPECT_EQ(copy->fields().id, 77u);
      EXPECT_EQ(copy->fields().checksum, RecordChecksum(copy->fields(), copy->head()));
      EXPECT_TRUE(std::ranges::equal(HeadOf(at()), Bytes(h)));
      EXPECT_TRUE(std::ranges::equal(BytesOf(at()), Bytes(b)));
    }
  }
}

TEST_F(Record, WritesNothingBehindItsSize) {
  std::memset(at(), 0xee, kSlot);
  WriteRecord(at(), Fields(), Bytes("head"), Bytes("bytes"), 1);
  for (uint64_t i = RecordSize(4, 5); i < kSlot; ++i) ASSERT_EQ(at()[i], std::byte{0xee}) << i;
}

TEST_F(Record, EveryFlippedBitOfFieldsAndHeadShowsInTheChecksum) {
  WriteRecord(at(), Fields(), Bytes("a head of some length"), Bytes("bytes"), 1);
  const size_t first = 8 * 8;  // behind the sequence
  const size_t last = (kRecordHeader + 21) * 8;
  for (size_t bit = first; bit < last; ++bit) {
    at()[bit / 8] ^= std::byte{1} << bit % 8;
    if (const auto copy = TryReadRecord(at(), kSlot)) {
      EXPECT_NE(copy->fields().checksum, RecordChecksum(copy->fields(), copy->head())) << bit;
    }
    at()[bit / 8] ^= std::byte{1} << bit % 8;
  }
}

TEST_F(Record, TravelsInAMessage) {
  WriteRecord(at(), Fields(), Bytes("head"), Bytes("bytes"), 1);
  const size_t length = BytesOffset(4) + 5 - 8;
  const std::span<const std::byte> message(at() + 8, length);
  const auto copy = RecordCopy::FromMessage(message);
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->head_text(), "head");
  EXPECT_TRUE(std::ranges::equal(copy->bytes(), Bytes("bytes")));
}

TEST_F(Record, AMessageOfAnyOtherLengthIsRefused) {
  WriteRecord(at(), Fields(), Bytes("head"), Bytes("bytes"), 1);
  const size_t length = BytesOffset(4) + 5 - 8;
  for (size_t n = 0; n < length + 64; ++n) {
    const auto copy = RecordCopy::FromMessage(std::span<const std::byte>(at() + 8, n));
    EXPECT_EQ(copy.has_value(), n == length) << n;
  }
}

// The protocol at work: a writer that uses one slot again and again, as an arena does, and readers
// that must only ever see whole records. Words of one record are all equal, so a torn copy shows.
// Without the reader's last look at the sequence this fails within a second.
TEST_F(Record, ReadersNeverSeeATornRecord) {
  constexpr size_t kWords = 64;
  constexpr int kReaders = 3;
  constexpr uint64_t kWanted = 20'000;  // copies for each reader
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    std::array<uint64_t, kWords> words;
    for (uint64_t n = 1; !stop.load(std::memory_order_relaxed); ++n) {
      words.fill(n);
      RecordFields f = Fields();
      f.id = n;
      f.value = n;
      // Lengths change too: a torn one must not lead anywhere.
      const auto all = std::as_bytes(std::span(words));
      const size_t head = 8 * (1 + n % 8);
      if (n % 3 == 0) EraseRecord(at());
      WriteRecord(at(), f, all.first(head), all.subspan(head), n);
    }
  });
  std::array<std::thread, kReaders> readers;
  for (std::thread& reader : readers) {
    reader = std::thread([&] {
      uint64_t last = 0;
      for (uint64_t seen = 0; seen < kWanted;) {
        const auto copy = TryReadRecord(at(), kSlot);
        if (!copy) continue;
        ++seen;
        const uint64_t n = copy->fields().id;
        ASSERT_GE(n, last);
        last = n;
        ASSERT_EQ(copy->fields().value, n);
        ASSERT_EQ(copy->head().size(), 8 * (1 + n % 8));
        ASSERT_EQ(copy->head().size() + copy->bytes().size(), kWords * 8);
        for (const std::span<const std::byte> part : {copy->head(), copy->bytes()}) {
          for (size_t i = 0; i < part.size(); i += 8) {
            uint64_t word;
            std::memcpy(&word, part.data() + i, 8);
            ASSERT_EQ(word, n);
          }
        }
        ASSERT_EQ(copy->fields().checksum, RecordChecksum(copy->fields(), copy->head()));
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  stop = true;
  writer.join();
}

// ---- names

TEST(NameTerm, ComesBackAsItWas) {
  for (const NameTerm& term : {NameTerm{}, NameTerm{.ends_ns = 5}, NameTerm{.client = 7},
                               NameTerm{.client = 7, .linger_ns = 9},
                               NameTerm{.ends_ns = -1, .client = 7, .linger_ns = 9}}) {
    const std::vector<std::byte> bytes = WriteNameTerm(term);
    const auto read = ReadNameTerm(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->ends_ns, term.ends_ns);
    EXPECT_EQ(read->client, term.client);
    EXPECT_EQ(read->linger_ns, term.linger_ns);
  }
  EXPECT_TRUE(WriteNameTerm({}).empty());
}

TEST(NameTerm, WhatMeansNothingIsRefused) {
  const std::vector<std::byte> zeros(64);
  for (size_t size = 1; size <= zeros.size(); ++size) {
    EXPECT_EQ(ReadNameTerm(std::span(zeros).first(size)).has_value(), size == sizeof(NameEnd))
        << size;
  }
  const auto reads = [](const NameLease& lease) {
    return ReadNameTerm(std::as_bytes(std::span(&lease, 1))).has_value();
  };
  EXPECT_TRUE(reads({1, 1, 0}));
  EXPECT_FALSE(reads({1, 0, 0})) << "no client";
  EXPECT_FALSE(reads({1, UINT64_MAX, 0})) << "whom no other could follow";
  EXPECT_FALSE(reads({1, 1, -1}));
  EXPECT_FALSE(reads({1, 1, INT64_MAX})) << "which no clock reaches";
}

}  // namespace
}  // namespace vineyard::layout
