// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A pair of byte rings in shared memory, by which a client and the engine exchange frames without system
// calls while both are awake. docs/design/016-rings.md says why, docs/formats/ring.md describes the bytes.
//
// Each ring has one producer and one consumer, each of which trusts only its own position: what the other
// side writes is read once, checked, and copied before use.
//
// Note [Who wakes whom]
//
// Let T be a ring's `tail` and Z its `sleeping`. The producer, after it has copied bytes in:
//   P1  T := t            (seq_cst)
//   P2  z := Z            (seq_cst); if z = 1, exchanges Z for 0 and, if that gave 1, wakes the consumer
// The consumer, when it has nothing left to do:
//   C1  Z := 1            (seq_cst)
//   C2  t := T            (seq_cst); if t is not its own position: Z := 0, and it stays awake
//   C3  sleeps, until somebody wakes it
// Claim: bytes that were published never wait for a consumer that sleeps and that nobody wakes.
// All four are in the one order of sequentially consistent operations. If P1 is before C2 there, C2 sees
// the bytes. Else C2 is before P1, so C1 is before P2, and P2 reads 1 and wakes, unless another P2 has
// exchanged it before and has woken (for bytes that came earlier; the consumer then finds these too, as it
// looks again before it sleeps: C1 comes first again), or the consumer itself has gone back to Z = 0.
//
// The bytes themselves: the producer's copy happens before P1, which is also a release; the consumer
// reads T with acquire before it copies them out. It gives room back with a release store of `head` after
// its copy, and the producer reads that with acquire before it overwrites. So no byte is read and written
// at once, as long as both sides keep to this; one that does not harms only what it sends or receives.
//
// tests/model/ring_model_test.cc tries all this on these very templates, and breaks each rule in turn.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace vineyard::layout {

/// `Atomic` is std::atomic, but for the model checker.
template <template <typename> class Atomic = std::atomic>
struct RingWords {
  alignas(64) Atomic<uint64_t> tail;  // by the producer: bytes ever written
  alignas(64) Atomic<uint64_t> head;  // by the consumer: bytes ever read
  alignas(64)
      Atomic<uint32_t> sleeping;  // by the consumer: 1, it must be woken. Who wakes it clears it
};

/// Owned by one thread at a time, like its opposite.
template <template <typename> class Atomic = std::atomic>
class RingProducer {
 public:
  RingProducer(RingWords<Atomic>& words, uint64_t capacity) : words_(words), capacity_(capacity) {}

  /// Bytes that may be written now, `wanted` or more if the consumer has made so much room; nullopt: the
  /// other side breaks the rules. (Looks at the consumer's position, in a cache line of its own, only
  /// when what is known of it does not suffice.)
  std::optional<uint64_t> Room(uint64_t wanted) {
    uint64_t used = tail_ - head_;
    if (used > capacity_ || capacity_ - used < wanted) {
      head_ = words_.head.load(std::memory_order_acquire);
      used = tail_ - head_;
    }
    if (used > capacity_) return std::nullopt;
    return capacity_ - used;
  }
  /// Where they go, counted from the ring's beginning of time.
  [[nodiscard]] uint64_t position() const { return tail_; }
  /// They have been written. The consumer does not see them yet.
  void Append(uint64_t bytes) { tail_ += bytes; }
  /// What was appended is there. True: the consumer is to be woken, by whoever asked.
  bool Publish() {
    if (published_ == tail_) return false;
    published_ = tail_;
    words_.tail.store(tail_, std::memory_order_seq_cst);
    return words_.sleeping.load(std::memory_order_seq_cst) == 1 &&
           words_.sleeping.exchange(0, std::memory_order_seq_cst) == 1;
  }
  /// May change at any moment.
  [[nodiscard]] bool ConsumerSleeps() const {
    return words_.sleeping.load(std::memory_order_relaxed) == 1;
  }

 private:
  RingWords<Atomic>& words_;
  const uint64_t capacity_;
  uint64_t tail_ = 0;
  uint64_t published_ = 0;
  uint64_t head_ = 0;  // as last seen
};

template <template <typename> class Atomic = std::atomic>
class RingConsumer {
 public:
  RingConsumer(RingWords<Atomic>& words, uint64_t capacity) : words_(words), capacity_(capacity) {}

  /// Bytes that may be read now; nullopt: the other side breaks the rules.
  std::optional<uint64_t> Available() {
    const uint64_t available = words_.tail.load(std::memory_order_acquire) - head_;
    if (available > capacity_) return std::nullopt;
    return available;
  }
  [[nodiscard]] uint64_t position() const { return head_; }
  /// They have been copied.
  void Release(uint64_t bytes) {
    head_ += bytes;
    words_.head.store(head_, std::memory_order_release);
  }

  /// True: from now on the producer wakes. False: there is something to read.
  bool FallAsleep() {
    words_.sleeping.store(1, std::memory_order_seq_cst);
    if (words_.tail.load(std::memory_order_seq_cst) == head_) return true;
    Awake();
    return false;
  }
  void Awake() { words_.sleeping.store(0, std::memory_order_relaxed); }

 private:
  RingWords<Atomic>& words_;
  const uint64_t capacity_;
  uint64_t head_ = 0;
};

// ---- the file

/// At the file's beginning, in a page of its own; then the two rings' bytes.
struct RingPage {
  RingWords<> requests;  // client to engine
  RingWords<> replies;   // engine to client
  /// By the engine: answers it has sent through the socket instead (with descriptors, or long ones), so
  /// that a client that watches the ring knows.
  alignas(64) std::atomic<uint64_t> by_socket;
  /// Where each side last ran: while both are on one processor waiting awake only keeps the other away.
  std::atomic<int32_t> engine_processor;
  /// By the engine: clients that are in a burst now, and itself.
  std::atomic<uint32_t> partners;
  alignas(64) std::atomic<int32_t> client_processor;
};

inline constexpr uint64_t kRingPageSize = 4096;
inline constexpr uint64_t kRequestRing = uint64_t{128} << 10;  // powers of two
inline constexpr uint64_t kReplyRing = uint64_t{32} << 10;
inline constexpr uint64_t kRingFile = kRingPageSize + kRequestRing + kReplyRing;
static_assert(sizeof(RingPage) <= kRingPageSize);

inline std::span<std::byte> RequestBytes(std::byte* file) {
  return {file + kRingPageSize, kRequestRing};
}
inline std::span<std::byte> ReplyBytes(std::byte* file) {
  return {file + kRingPageSize + kRequestRing, kReplyRing};
}

/// REQUIRES: no more bytes than there is room for (are available).
void CopyIn(std::span<std::byte> ring, uint64_t position, std::span<const std::byte> from);
void CopyOut(std::span<const std::byte> ring, uint64_t position, std::span<std::byte> to);

}  // namespace vineyard::layout
