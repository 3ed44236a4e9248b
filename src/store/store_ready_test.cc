// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that is made ahead of need, as a whole store uses it.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "base/testing.h"
#include "os/memfd.h"
#include "store/store.h"
#include "store/test_store.h"

namespace vineyard::store {
namespace {

class StoreReadyTest : public StoreTest {};

TEST_F(StoreReadyTest, WhatIsReadyIsGivenAtOnceAndAMissingPartIsMade) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 3 * kMi));
  EXPECT_EQ(store().budget().spare(), 3 * kMi);
  Waited ready;
  store().Reserve(machine_.volume(), client_, 3 * kMi, kNever, ready.Callback());
  EXPECT_EQ(ready.calls, 1);
  EXPECT_OK(ready.status);
  machine_.Run();
  Waited part;
  store().Reserve(machine_.volume(), client_, 7 * kMi, kNever, part.Callback());
  EXPECT_EQ(part.calls, 0);
  machine_.Run();
  EXPECT_EQ(part.calls, 1);
  EXPECT_OK(part.status);
  store().Abort(*first);
  machine_.Run();
  EXPECT_LE(store().budget().held() + store().budget().spare(), store().budget().limit());
}

TEST_F(StoreReadyTest, UsageAndHeldMemoryReturnToTheirStartWhateverIsReady) {
  const uint64_t held = store().budget().held();
  for (int round = 0; round < 20; ++round) {
    ASSERT_OK_AND_ASSIGN(Extent * a, machine_.Reserve(client_, 5 * kMi + 300));
    ASSERT_OK_AND_ASSIGN(Extent * b, machine_.Reserve(client_, 300 << 10));
    EXPECT_EQ(machine_.volume().usage(), a->pages + b->pages);
    store().Abort(*a);
    store().Abort(*b);
    machine_.Run();
    EXPECT_EQ(machine_.volume().usage(), 0u);
    EXPECT_EQ(store().budget().held(), held);
    EXPECT_GT(store().budget().spare(), 0u);
  }
}

TEST_F(StoreReadyTest, ReadyChunksNeverKeepAnybodyFromMemoryWithinTheLimit) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 20 * kMi));
  EXPECT_GT(store().budget().spare(), 0u);
  store().Abort(*first);
  machine_.Run();
  ASSERT_GT(store().budget().spare(), 0u);
  const uint64_t all = store().budget().free() / (2 * kMi) * 2 * kMi;
  ASSERT_OK_AND_ASSIGN(Extent * large, machine_.Reserve(client_, all));
  EXPECT_EQ(large->pages, all);
  EXPECT_LE(store().budget().held() + store().budget().spare(), store().budget().limit());
}

// As numpy's allocations do, which can't wait for others.
TEST_F(StoreReadyTest, WhoDoesNotWaitGetsWhatIsSpareOrBeingFreedAllTheSame) {
  const os::TimePoint past = os::Clock::now() - std::chrono::seconds(1);
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 24 * kMi));
  const uint64_t all = store().budget().free() / (2 * kMi) * 2 * kMi;
  for (const bool freed : {false, true}) {
    // Ready for other sizes; then, free once the pool comes to it.
    if (freed) store().Abort(*first);
    const uint64_t size = freed ? 20 * kMi : all;
    ASSERT_GT(size, store().budget().unused());
    Waited waited;
    store().Reserve(machine_.volume(), client_, size, past, waited.Callback());
    store().Tick(os::Clock::now());
    machine_.Run();
    ASSERT_OK(waited.status);
    EXPECT_EQ(waited.extent->pages, size);
  }
  Waited never;
  store().Reserve(machine_.volume(), client_, 16 * kMi, past, never.Callback());
  store().Tick(os::Clock::now());
  EXPECT_TRUE(never.status.Is(StatusCode::kOutOfMemory)) << never.status.ToString();
}

TEST_F(StoreReadyTest, WhoWaitedUsesWhatIsReadyAndItIsCountedOnce) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 40 * kMi));
  ASSERT_GT(store().budget().spare(), 0u);
  Waited waited;
  store().Reserve(machine_.volume(), client_, 40 * kMi, kNever, waited.Callback());
  Waited behind;  // what is ready would do, but nobody overtakes
  store().Reserve(machine_.volume(), client_, 8 * kMi, kNever, behind.Callback());
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  EXPECT_EQ(behind.calls, 0);
  store().Abort(*first);
  machine_.Run();
  EXPECT_OK(waited.status);
  EXPECT_OK(behind.status);
  EXPECT_LE(store().budget().held() + store().budget().spare(), store().budget().limit());
  os::TimePoint now = os::Clock::now();
  for (int second = 0; second < 40; ++second) {
    now += std::chrono::seconds(1);
    store().Tick(now);
    machine_.Run();
  }
  EXPECT_EQ(store().budget().spare(), 0u);
}

TEST_F(StoreReadyTest, MemoryThatOneVolumeWroteNeverReachesAnother) {
  Volume* other = AddVolume(2, "other", 0);
  const std::string secret(3 * kMi, 'x');
  for (const bool sealed : {false, true}) {
    ASSERT_OK_AND_ASSIGN(Extent * mine, machine_.Reserve(client_, secret.size()));
    if (sealed) {
      Machine::FillAndSeal(*mine, secret);
    } else {
      ASSERT_OK_AND_ASSIGN(
          const auto mapping,
          os::Mapping::Open(mine->chunks[0].fd, mine->chunks[0].size, os::Access::kReadWrite));
      std::memset(mapping.data(), 'x', mapping.size());
    }
    store().Abort(*mine);
    machine_.Run();
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK_AND_ASSIGN(Extent * theirs, machine_.Reserve(client_, secret.size(), other));
      for (const Chunk& chunk : theirs->chunks) {
        ASSERT_OK_AND_ASSIGN(const auto mapping,
                             os::Mapping::Open(chunk.fd, chunk.size, os::Access::kRead));
        EXPECT_EQ(std::count(mapping.data(), mapping.data() + mapping.size(), std::byte{0}),
                  static_cast<ptrdiff_t>(mapping.size()));
      }
    }
  }
}

TEST_F(StoreReadyTest, AnEngineThatIsKilledLeavesNoReadyMemoryBehind) {
  ASSERT_OK(machine_.Reserve(client_, 5 * kMi));
  ASSERT_GT(store().budget().spare(), 0u);
  const size_t kept = machine_.keeper().Count(HeldKind::kChunk);
  EXPECT_EQ(kept, 2u);  // of the extent; the keeper has never heard of what is ready
  machine_.Restart();
  EXPECT_EQ(store().budget().spare(), 0u);
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), kept);
}

}  // namespace
}  // namespace vineyard::store
