// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "model/ring_model.h"

#include <atomic>
#include <ostream>

#include "layout/ring.h"

namespace vineyard::model {
namespace {

// Before Relacy gives these names to others.
using Order = std::memory_order;
constexpr Order kRelaxed = std::memory_order_relaxed;
constexpr Order kAcquire = std::memory_order_acquire;
constexpr Order kRelease = std::memory_order_release;
constexpr Order kOneOrder = std::memory_order_seq_cst;

}  // namespace
}  // namespace vineyard::model

#include <relacy/relacy.hpp>

namespace vineyard::model {
namespace {

rl::memory_order ToRelacy(Order order) {
  switch (order) {
    case kRelaxed: return rl::mo_relaxed;
    case kAcquire: return rl::mo_acquire;
    case kRelease: return rl::mo_release;
    default: return rl::mo_seq_cst;
  }
}

/// A location whose rules a test can weaken.
template <typename T>
struct Location {
  T load(Order order) const {
    if (order == kOneOrder && looks_not_again) return last_acquired;
    const T value = self().load(ToRelacy(order == kOneOrder  ? load_in_order
                                         : order == kAcquire ? load_acquire
                                                             : order),
                                RL_INFO);
    if (order == kAcquire) last_acquired = value;
    return value;
  }
  void store(T value, Order order) {
    atomic.store(value,
                 ToRelacy(order == kOneOrder  ? store_in_order
                          : order == kRelease ? store_release
                                              : order),
                 RL_INFO);
  }
  T exchange(T value, Order order) {
    if (exchange_keeps) return self().load(rl::mo_seq_cst, RL_INFO);
    const T was = atomic.exchange(value, ToRelacy(order), RL_INFO);
    return exchange_says_no ? T() : was;
  }

  Order load_in_order = kOneOrder;
  Order load_acquire = kAcquire;
  Order store_in_order = kOneOrder;
  Order store_release = kRelease;
  bool looks_not_again = false;
  bool exchange_keeps = false;
  bool exchange_says_no = false;

  rl::atomic<T> atomic;

 private:
  // Relacy's loads are not const.
  rl::atomic<T>& self() const { return const_cast<rl::atomic<T>&>(atomic); }
  mutable T last_acquired{};
};

constexpr unsigned kMostCapacity = 4;

struct Setting {
  Broken broken;
  unsigned capacity;
  unsigned messages;
};
constexpr unsigned kFewSwitches = 3;
Setting setting;  // of the search that runs: Relacy makes the suites itself

struct RingSuite : rl::test_suite<RingSuite, 2> {
  layout::RingWords<Location> words;
  rl::var<unsigned> bytes[kMostCapacity];
  rl::semaphore<RingSuite> bell;
  unsigned wakes = 0;
  unsigned sleeps = 0;

  void before() {
    words.tail.atomic.store(0, rl::mo_relaxed, RL_INFO);
    words.head.atomic.store(0, rl::mo_relaxed, RL_INFO);
    words.sleeping.atomic.store(0, rl::mo_relaxed, RL_INFO);
    bell.init(false, 0, 100, RL_INFO);
    switch (setting.broken) {
      case Broken::kNone: break;
      case Broken::kPublishReleases: words.tail.store_in_order = kRelease; break;
      case Broken::kLookForSleeperAcquires: words.sleeping.load_in_order = kAcquire; break;
      case Broken::kFallAsleepReleases: words.sleeping.store_in_order = kRelease; break;
      case Broken::kLookAgainAcquires: words.tail.load_in_order = kAcquire; break;
      case Broken::kNoLookAgain: words.tail.looks_not_again = true; break;
      case Broken::kNobodyWakes: words.sleeping.exchange_says_no = true; break;
      case Broken::kSleeperIsNotCleared: words.sleeping.exchange_keeps = true; break;
      case Broken::kPublishIsRelaxed: words.tail.store_in_order = kRelaxed; break;
      case Broken::kAvailableIsRelaxed: words.tail.load_acquire = kRelaxed; break;
      case Broken::kReleaseIsRelaxed: words.head.store_release = kRelaxed; break;
      case Broken::kRoomIsRelaxed: words.head.load_acquire = kRelaxed; break;
    }
  }

  void after() { bell.deinit(RL_INFO); }

  void thread(unsigned index) {
    if (index == 0) {
      Produce();
    } else {
      Consume();
    }
  }

  void Produce() {
    layout::RingProducer<Location> producer(words, setting.capacity);
    rl::linear_backoff backoff;
    for (unsigned message = 1; message <= setting.messages; ++message) {
      while (true) {
        const std::optional<uint64_t> room = producer.Room(1);
        RL_ASSERT(room.has_value());
        if (*room > 0) break;
        backoff.yield(RL_INFO);
      }
      bytes[producer.position() % setting.capacity](RL_INFO) = message;
      producer.Append(1);
      if (producer.Publish()) {
        RL_ASSERT(++wakes <= sleeps);
        unsigned before = 0;
        bell.post(1, before, RL_INFO);
      }
    }
  }

  void Consume() {
    layout::RingConsumer<Location> consumer(words, setting.capacity);
    for (unsigned got = 0; got < setting.messages;) {
      const std::optional<uint64_t> available = consumer.Available();
      RL_ASSERT(available.has_value());
      if (*available == 0) {
        ++sleeps;
        // Relacy sees a deadlock where nobody wakes.
        if (consumer.FallAsleep()) {
          bell.wait(false, false, RL_INFO);
          consumer.Awake();
        }
        continue;
      }
      const unsigned message = bytes[consumer.position() % setting.capacity](RL_INFO);
      RL_ASSERT(message == got + 1);
      consumer.Release(1);
      ++got;
    }
  }
};

}  // namespace

Verdict TryRing(Broken broken, unsigned capacity, unsigned messages, Search search,
                uint64_t at_most) {
  setting = {broken, capacity, messages};
  std::ostream ignored(nullptr);  // one that allocates would get its memory from Relacy
  rl::test_params params;
  params.output_stream = &ignored;
  params.progress_stream = &ignored;
  params.iteration_count = at_most;
  params.context_bound = kFewSwitches;
  switch (search) {
    case Search::kFull: params.search_type = rl::fair_full_search_scheduler_type; break;
    case Search::kFewSwitches: params.search_type = rl::fair_context_bound_scheduler_type; break;
    case Search::kRandom: params.search_type = rl::random_scheduler_type; break;
  }
  const bool fine = rl::simulate<RingSuite>(params);
  Verdict verdict;
  verdict.executions = params.stop_iteration;
  if (!fine) verdict.trouble = rl::test_result_str(params.test_result);
  return verdict;
}

}  // namespace vineyard::model
