// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/ring.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace vineyard::layout {
namespace {

using Bytes = std::vector<std::byte>;

std::byte ByteAt(uint64_t n) { return static_cast<std::byte>(n * 167 + (n >> 8)); }

Bytes BytesFrom(uint64_t position, size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = ByteAt(position + i);
  return bytes;
}

// ---- copies

TEST(RingCopy, RoundTripsAtEveryPositionAndLength) {
  std::array<std::byte, 16> ring{};
  for (uint64_t position = 0; position < 3 * ring.size(); ++position) {
    for (size_t length = 0; length <= ring.size(); ++length) {
      std::ranges::fill(ring, std::byte{0xee});
      const Bytes in = BytesFrom(position, length);
      CopyIn(ring, position, in);
      for (size_t i = 0; i < ring.size(); ++i) {
        const size_t n = (i + ring.size() - position % ring.size()) % ring.size();
        ASSERT_EQ(ring[i], n < length ? in[n] : std::byte{0xee});
      }
      Bytes out(length);
      CopyOut(ring, position, out);
      ASSERT_EQ(out, in);
    }
  }
}

TEST(RingCopy, PositionsGoOnBehindTheLargestNumber) {
  std::array<std::byte, 16> ring{};
  const uint64_t position = ~uint64_t{0} - 4;
  const Bytes in = BytesFrom(0, 10);
  CopyIn(ring, position, in);
  Bytes out(10);
  CopyOut(ring, position, out);
  EXPECT_EQ(out, in);
  EXPECT_EQ(ring[position % ring.size()], in[0]);
  EXPECT_EQ(ring[0], in[5]);  // 2^64 is a multiple of the ring's size
}

// ---- one thread

bool Publish(RingProducer<>& producer, uint64_t bytes) {
  producer.Append(bytes);
  return producer.Publish();
}

struct RingOfEight : ::testing::Test {
  RingWords<> words{};
  RingProducer<> producer{words, 8};
  RingConsumer<> consumer{words, 8};
};

TEST_F(RingOfEight, CountsFromEmptyToFullAndBack) {
  EXPECT_EQ(producer.Room(8), 8U);
  EXPECT_EQ(consumer.Available(), 0U);
  EXPECT_FALSE(Publish(producer, 5));
  EXPECT_EQ(producer.Room(8), 3U);
  EXPECT_EQ(consumer.Available(), 5U);
  EXPECT_FALSE(Publish(producer, 3));
  EXPECT_EQ(producer.Room(8), 0U);
  EXPECT_EQ(consumer.Available(), 8U);
  consumer.Release(8);
  EXPECT_EQ(producer.Room(8), 8U);
  EXPECT_EQ(consumer.Available(), 0U);
  EXPECT_EQ(producer.position(), 8U);
  EXPECT_EQ(consumer.position(), 8U);
}

TEST_F(RingOfEight, ATailThatIsTooFarOrBehindBreaksTheRules) {
  for (const uint64_t tail : {uint64_t{9}, uint64_t{1} << 32, uint64_t{1} << 63, ~uint64_t{0}}) {
    words.tail = tail;
    EXPECT_EQ(consumer.Available(), std::nullopt) << tail;
  }
  words.tail = 8;
  EXPECT_EQ(consumer.Available(), 8U);
  consumer.Release(4);
  words.tail = 3;  // back
  EXPECT_EQ(consumer.Available(), std::nullopt);
}

TEST_F(RingOfEight, AHeadThatIsAheadOrFarBehindBreaksTheRules) {
  Publish(producer, 6);
  for (const uint64_t head : {uint64_t{7}, uint64_t{1} << 63, ~uint64_t{0} - 8}) {
    words.head = head;
    EXPECT_EQ(producer.Room(8), std::nullopt) << head;
  }
  words.head = 6;
  EXPECT_EQ(producer.Room(8), 8U);
}

// What the other side writes over it is not believed.
TEST_F(RingOfEight, OnesOwnPositionIsNotReadBack) {
  Publish(producer, 2);
  words.tail = 77;
  EXPECT_EQ(producer.position(), 2U);
  EXPECT_EQ(producer.Room(8), 6U);
  words.tail = 2;
  consumer.Release(2);
  words.head = 1;
  EXPECT_EQ(consumer.position(), 2U);
  EXPECT_EQ(consumer.Available(), 0U);
}

TEST_F(RingOfEight, WhoSleepsIsWokenOnce) {
  EXPECT_FALSE(producer.ConsumerSleeps());
  EXPECT_TRUE(consumer.FallAsleep());
  EXPECT_TRUE(producer.ConsumerSleeps());
  EXPECT_TRUE(Publish(producer, 1));
  EXPECT_FALSE(producer.ConsumerSleeps());
  EXPECT_FALSE(Publish(producer, 1));
}

TEST_F(RingOfEight, NobodySleepsOnBytesOrOnARingThatIsBroken) {
  Publish(producer, 1);
  EXPECT_FALSE(consumer.FallAsleep());
  EXPECT_FALSE(producer.ConsumerSleeps());
  words.tail = 100;
  EXPECT_FALSE(consumer.FallAsleep());
}

TEST_F(RingOfEight, WhoWokeByItselfIsNotWoken) {
  EXPECT_TRUE(consumer.FallAsleep());
  consumer.Awake();
  EXPECT_FALSE(Publish(producer, 1));
}

TEST_F(RingOfEight, ASleepersWordThatIsNonsenseWakesNobody) {
  words.sleeping = 2;
  EXPECT_FALSE(producer.ConsumerSleeps());
  EXPECT_FALSE(Publish(producer, 1));
}

// ---- two threads

// One message fills the ring, and the consumer sleeps whenever there is none: a message that nobody is
// woken for stays there, and no other follows.
TEST(RingStress, TwoThreadsPassEveryMessageAndNobodyOversleeps) {
  constexpr uint64_t kMessages = 30'000;
  constexpr size_t kSize = 24;
  struct Shared {
    RingWords<> words{};
    std::array<std::byte, kSize> bytes{};
    std::counting_semaphore<> bell{0};
    std::atomic<bool> overslept{false};
  };
  const auto shared = std::make_unique<Shared>();
  std::thread producing([&] {
    RingProducer<> producer(shared->words, kSize);
    std::mt19937 random(1);
    uint32_t looks = 0;
    while (producer.position() < kMessages * kSize && !shared->overslept) {
      if (producer.Room(kSize).value() < kSize) {
        if (++looks % 256 == 0) std::this_thread::yield();
        continue;
      }
      // Now before, now after the consumer looks for the last time.
      for (std::atomic<uint32_t> left = random() % 64; left > 0;) --left;
      CopyIn(shared->bytes, producer.position(), BytesFrom(producer.position(), kSize));
      if (Publish(producer, kSize)) shared->bell.release();
    }
  });
  RingConsumer<> consumer(shared->words, kSize);
  Bytes got(kSize);
  uint64_t wrong = 0;
  uint64_t sleeps = 0;
  while (consumer.position() < kMessages * kSize && !shared->overslept) {
    if (consumer.Available().value() == 0) {
      if (!consumer.FallAsleep()) continue;
      ++sleeps;
      // Long enough for any machine; only a broken ring waits for so long.
      if (!shared->bell.try_acquire_for(std::chrono::seconds(60))) shared->overslept = true;
      consumer.Awake();
      continue;
    }
    CopyOut(shared->bytes, consumer.position(), got);
    if (got != BytesFrom(consumer.position(), kSize)) ++wrong;
    consumer.Release(kSize);
  }
  producing.join();
  EXPECT_FALSE(shared->overslept) << "after " << consumer.position() / kSize << " messages";
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(sleeps, 0U);
}

}  // namespace
}  // namespace vineyard::layout
