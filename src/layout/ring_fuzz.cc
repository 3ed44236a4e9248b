// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The other side of a ring does what it likes: the input says how its words change between the steps of one
// that keeps to the rules, which must never read or write beyond the ring.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "layout/ring.h"
#include "vineyard/status.h"

namespace {

using namespace vineyard::layout;

struct Step {
  uint8_t what;
  uint8_t scale;
  uint16_t value;
};

constexpr uint64_t kCapacity = 256;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<Step> steps(std::min<size_t>(size / sizeof(Step), 512));
  if (!steps.empty()) std::memcpy(steps.data(), data, steps.size() * sizeof(Step));
  RingWords<> words{};
  // Exactly as much memory as the ring has, so that a sanitizer sees what is beyond it.
  const auto ring = std::make_unique<std::byte[]>(kCapacity);
  const std::span bytes(ring.get(), kCapacity);
  std::array<std::byte, kCapacity> mine{};
  RingConsumer<> consumer(words, kCapacity);
  RingProducer<> producer(words, kCapacity);
  for (const Step& step : steps) {
    const uint64_t value = uint64_t{step.value} << (step.scale % 49);
    switch (step.what % 7) {
      case 0: words.tail.store(words.tail.load() + value); break;
      case 1: words.head.store(words.head.load() + value); break;
      case 2: words.sleeping.store(static_cast<uint32_t>(value)); break;
      case 3:
        if (const auto available = consumer.Available()) {
          const uint64_t taken = std::min(*available, value);
          VY_CHECK(*available <= kCapacity);
          CopyOut(bytes, consumer.position(), std::span(mine).first(taken));
          consumer.Release(taken);
        }
        break;
      case 4:
        if (const auto room = producer.Room(std::min(value, kCapacity))) {
          const uint64_t given = std::min(*room, value);
          VY_CHECK(*room <= kCapacity);
          CopyIn(bytes, producer.position(), std::span(mine).first(given));
          producer.Append(given);
        }
        break;
      case 5: producer.Publish(); break;
      default:
        if (consumer.FallAsleep()) consumer.Awake();
    }
  }
  return 0;
}
