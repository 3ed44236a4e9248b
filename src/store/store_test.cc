// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/store.h"

#include <unistd.h>

#include <csignal>

#include "base/testing.h"
#include "os/memfd.h"
#include "os/process.h"
#include "store/test_store.h"

namespace vineyard::store {
namespace {

// ---- volumes

TEST_F(StoreTest, AVolumesNameIsItsAlone) {
  AddVolume(2, "data", 0);
  const auto never = [](Result<Volume*>) { ADD_FAILURE(); };
  EXPECT_CODE(kAlreadyExists, store().CreateVolume({.volume = 3, .name = "data"}, never));
  EXPECT_CODE(kAlreadyExists, store().CreateVolume({.volume = 2, .name = "other"}, never));
  EXPECT_CODE(kNotFound, store().RemoveVolume(77, nullptr, {}));
}

// What the catalog could not hold would be another name after a restart.
TEST_F(StoreTest, AVolumesNameHasALength) {
  const auto never = [](Result<Volume*>) { ADD_FAILURE(); };
  EXPECT_CODE(kInvalid, store().CreateVolume({.volume = 3, .name = ""}, never));
  EXPECT_CODE(kInvalid,
              store().CreateVolume(
                  {.volume = 3, .name = std::string(layout::kMaxVolumeName + 1, 'v')}, never));
  AddVolume(3, std::string(layout::kMaxVolumeName, 'v'), 0);
  machine_.Restart();
  EXPECT_NE(store().FindVolume(std::string(layout::kMaxVolumeName, 'v')), nullptr);
}

TEST_F(StoreTest, ARemovedVolumeLeavesNothingBehind) {
  const uint64_t held = store().budget().held();
  const size_t items = machine_.keeper().items().size();
  Volume* volume = AddVolume(2, "data", 0);
  ASSERT_OK(machine_.Reserve(client_, 3 * kMi, volume));
  ASSERT_OK(volume->Put(machine_.NextRequest(client_),
                        {.own_size = 0, .name = "n", .id = store().NextId()}));
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  machine_.Run();
  EXPECT_EQ(store().FindVolume(2), nullptr);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(machine_.keeper().items().size(), items);
}

TEST_F(StoreTest, AVolumeRemovedBeforeItWasOpenSaysSo) {
  StatusCode code = StatusCode::kOk;
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "data"},
                                 [&](Result<Volume*> made) { code = made.status().code(); }));
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  machine_.Run();
  EXPECT_EQ(code, StatusCode::kCancelled);
}

TEST_F(StoreTest, ReadersOfARemovedVolumeSeeItsWordDead) {
  Volume* volume = AddVolume(2, "data", 0);
  ASSERT_OK_AND_ASSIGN(const auto fd,
                       os::Reopen(volume->catalog().first_file(), os::Access::kRead));
  ASSERT_OK_AND_ASSIGN(const auto mapping,
                       os::Mapping::Open(fd, layout::kFirstSegmentOffset, os::Access::kRead));
  const auto* header = reinterpret_cast<const layout::CatalogHeader*>(mapping.data());
  EXPECT_FALSE(os::IsDead(&header->engine));
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  EXPECT_TRUE(os::IsDead(&header->engine));
  EXPECT_EQ(header->state.load(), static_cast<uint32_t>(layout::VolumeState::kRemoved));
}

// ---- reservations

TEST_F(StoreTest, WhatNeverFitsIsRefusedAtOnce) {
  Waited waited;
  store().Reserve(machine_.volume(), client_, 65 * kMi, kNever, waited.Callback());
  EXPECT_EQ(waited.calls, 1);
  EXPECT_CODE(kOutOfMemory, waited.status);
  EXPECT_NE(waited.status.message().find("64"), std::string::npos) << waited.status.message();
  EXPECT_EQ(store().waiting(), 0u);
}

TEST_F(StoreTest, AnUnboundedSizeIsRefusedToo) {
  for (const uint64_t size : {~uint64_t{0}, ~uint64_t{0} - 4095, uint64_t{1} << 63}) {
    EXPECT_CODE(kOutOfMemory, machine_.Reserve(client_, size));
  }
}

TEST_F(StoreTest, WhatDoesNotFitNowWaitsAndThenSaysWhoHoldsTheMemory) {
  ASSERT_OK(machine_.Reserve(client_, 40 * kMi));
  Waited waited;
  const auto deadline = os::Clock::now() + std::chrono::hours(1);
  store().Reserve(machine_.volume(), client_, 40 * kMi, deadline, waited.Callback());
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  EXPECT_EQ(store().waiting(), 1u);
  EXPECT_LE(store().NextDeadline(), deadline);  // it looks after its ready chunks before
  store().Tick(deadline - std::chrono::seconds(1));
  EXPECT_EQ(waited.calls, 0);
  store().Tick(deadline);
  machine_.Run();
  EXPECT_EQ(waited.calls, 1);
  EXPECT_CODE(kOutOfMemory, waited.status);
  EXPECT_NE(waited.status.message().find("reserved"), std::string::npos);
  EXPECT_NE(waited.status.message().find("pid 42"), std::string::npos) << waited.status.message();
  EXPECT_EQ(store().waiting(), 0u);
}

TEST_F(StoreTest, WhoWaitsGoesOnWhenMemoryIsGivenBack) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 40 * kMi));
  Waited waited;
  store().Reserve(machine_.volume(), client_, 40 * kMi, kNever, waited.Callback());
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  store().Abort(*first);
  machine_.Run();
  EXPECT_EQ(waited.calls, 1);
  EXPECT_OK(waited.status);
}

TEST_F(StoreTest, ACancelledWaitIsNeverAnswered) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 40 * kMi));
  Waited waited;
  const uint64_t ticket =
      store().Reserve(machine_.volume(), client_, 40 * kMi, kNever, waited.Callback());
  store().CancelReserve(ticket);
  store().CancelReserve(ticket);
  store().Abort(*first);
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  EXPECT_EQ(machine_.volume().usage(), 0u);
}

TEST_F(StoreTest, AReservationCancelledWhileItIsMadeIsGivenBack) {
  const uint64_t held = store().budget().held();
  Waited waited;
  store().CancelReserve(
      store().Reserve(machine_.volume(), client_, 3 * kMi, kNever, waited.Callback()));
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_TRUE(machine_.client(client_).reservations.empty());
}

TEST_F(StoreTest, WhoWaitsForAVolumeThatIsRemovedIsTold) {
  Volume* volume = AddVolume(2, "data", 0);
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 40 * kMi));
  Waited memory;
  store().Reserve(*volume, client_, 40 * kMi, kNever, memory.Callback());
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  store().Abort(*first);
  machine_.Run();
  EXPECT_EQ(memory.calls, 1);
  EXPECT_FALSE(memory.status.ok());
  Volume* small = AddVolume(3, "small", 10 * kMi);
  ASSERT_OK(machine_.Reserve(client_, 8 * kMi, small));
  Waited quota;
  store().Reserve(*small, client_, 8 * kMi, kNever, quota.Callback());
  ASSERT_OK(store().RemoveVolume(3, nullptr, {}));
  store().PumpQuota();
  machine_.Run();
  EXPECT_EQ(quota.calls, 1);
  EXPECT_CODE(kNotFound, quota.status);
}

TEST_F(StoreTest, ADeadClientsReservationIsNotMade) {
  Waited waited;
  store().Reserve(machine_.volume(), client_, 3 * kMi, kNever, waited.Callback());
  store().ForgetClient(client_);
  machine_.Run();
  EXPECT_LE(waited.calls, 1);
  EXPECT_FALSE(waited.status.ok());
  EXPECT_EQ(machine_.volume().usage(), 0u);
}

TEST_F(StoreTest, AReservationIsItsClientsAlone) {
  ASSERT_OK_AND_ASSIGN(const Extent* extent, machine_.Reserve(client_, kMi));
  const uint64_t other = machine_.AddClient();
  EXPECT_CODE(kNotFound, store().FindReservation(other, extent->blob));
  EXPECT_CODE(kNotFound, store().FindReservation(client_, ObjectId(7).own_blob()));
  EXPECT_OK(store().FindReservation(client_, extent->blob));
}

// Arrays of its own may lie there: it is not for the instance to empty them.
TEST_F(StoreTest, MemoryThatALivingClientGivesBackAndStillMapsKeepsItsBytes) {
  const uint64_t held = store().budget().held();
  ASSERT_OK_AND_ASSIGN(const Extent* extent, machine_.Reserve(client_, kMi));
  const ObjectId blob = extent->blob;
  os::Mapping mapping;
  {
    const os::UniqueFd fd = os::Reopen(extent->chunks[0].fd, os::Access::kReadWrite).value();
    mapping = os::Mapping::Open(fd, kMi, os::Access::kReadWrite).value();
  }
  mapping.data()[0] = std::byte{1};
  store().Abort(*store().FindExtent(blob));
  machine_.Run();
  EXPECT_EQ(mapping.data()[0], std::byte{1});
  EXPECT_EQ(machine_.volume().usage(), 0u);
  EXPECT_EQ(store().lingering_bytes(), kMi);
  mapping.Reset();
  store().Tick(os::Clock::now());
  machine_.Run();
  EXPECT_EQ(store().budget().held(), held);
}

TEST_F(StoreTest, MemoryOfADeadClientIsGivenBackThoughAChildOfItMapsIt) {
  store().ForgetClient(client_);
  client_ = machine_.AddClient(machine_.EndedProcess());
  const uint64_t held = store().budget().held();
  ASSERT_OK_AND_ASSIGN(const Extent* extent, machine_.Reserve(client_, 3 * kMi));
  const os::UniqueFd child = os::Reopen(extent->chunks[0].fd, os::Access::kReadWrite).value();
  auto mapping = os::Mapping::Open(child, 2 * kMi, os::Access::kReadWrite).value();
  mapping.data()[0] = std::byte{1};
  store().ForgetClient(client_);
  machine_.Run();
  EXPECT_EQ(mapping.data()[0], std::byte{0});  // punched
  EXPECT_EQ(machine_.volume().usage(), 0u);
  EXPECT_EQ(store().lingering_bytes(), 3 * kMi);
  client_ = machine_.AddClient();
  mapping.Reset();
  {
    const os::UniqueFd gone = std::move(const_cast<os::UniqueFd&>(child));
  }
  store().Tick(os::Clock::now());
  machine_.Run();
  EXPECT_EQ(store().lingering_bytes(), 0u);
  EXPECT_EQ(store().budget().held(), held);
}

TEST_F(StoreTest, WhatWasPublishedOutlivesItsClient) {
  ASSERT_OK_AND_ASSIGN(const auto large,
                       machine_.Put(client_, {.bytes = std::string(kMi, 'x'), .large = true}));
  ASSERT_OK_AND_ASSIGN(const Extent* small, machine_.Reserve(client_, 100));
  const ObjectId small_blob = small->blob;
  ASSERT_OK(machine_.volume().Put(machine_.NextRequest(client_),
                                  {.bytes = std::as_bytes(std::span("small", 5)),
                                   .extent = store().FindExtent(small_blob),
                                   .own_size = 5,
                                   .id = small_blob.owner_of_blob()}));
  EXPECT_TRUE(machine_.client(client_).reservations.empty());
  store().FreeExtent(small_blob);  // there is no extent behind a small one
  store().ForgetClient(client_);
  machine_.Run();
  EXPECT_NE(machine_.volume().Find(ObjectId(large.id)), nullptr);
  EXPECT_NE(store().FindExtent(ObjectId(large.id).own_blob()), nullptr);
  EXPECT_NE(machine_.volume().Find(small_blob), nullptr);
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), 1u);
}

TEST_F(StoreTest, FiveHundredDeadWritersLeaveNothing) {
  const uint64_t held = store().budget().held();
  for (int i = 0; i < 500; ++i) {
    const uint64_t client = machine_.AddClient();
    ASSERT_OK(machine_.Reserve(client, 1 + static_cast<uint64_t>(i) * 4096));
    store().ForgetClient(client);
    machine_.Run();
  }
  EXPECT_EQ(machine_.volume().usage(), 0u);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), 0u);
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kClient), 1u);
}

// ---- deleted and still mapped

TEST_F(StoreTest, ReadersKeepTheirBytesAndTheMemoryCountsAsHeld) {
  ASSERT_OK_AND_ASSIGN(const auto answer,
                       machine_.Put(client_, {.bytes = std::string(3 * kMi, 'x'), .large = true}));
  const ObjectId blob = ObjectId(answer.id).own_blob();
  const Extent* extent = store().FindExtent(blob);
  auto fd = os::Reopen(extent->chunks[0].fd, os::Access::kRead).value();
  auto mapping = os::Mapping::Open(fd, extent->chunks[0].size, os::Access::kRead).value();
  fd.Reset();
  machine_.client(client_).mapped.insert(blob.value());
  const uint64_t held = store().budget().held();
  ASSERT_OK(machine_.volume().Delete(machine_.NextRequest(client_), std::span(&answer.id, 1), true,
                                     false));
  machine_.Run();
  EXPECT_EQ(machine_.volume().usage(), 0u);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_TRUE(store().HasLingering());
  for (const std::byte b : mapping.bytes()) ASSERT_EQ(b, std::byte{'x'});
  store().Released(machine_.client(client_), blob);  // a lie: it is still mapped
  machine_.Run();
  EXPECT_EQ(store().budget().held(), held);
  mapping.Reset();
  store().Released(machine_.client(client_), blob);
  machine_.Run();
  EXPECT_FALSE(store().HasLingering());
  EXPECT_EQ(store().budget().held(), held - 3 * kMi);
}

TEST_F(StoreTest, ADeletedExtentThatIsFreeNowMakesRoomForWhoAsks) {
  ASSERT_OK_AND_ASSIGN(const auto answer,
                       machine_.Put(client_, {.bytes = std::string(40 * kMi, 'x'), .large = true}));
  const Extent* extent = store().FindExtent(ObjectId(answer.id).own_blob());
  auto reader = os::Reopen(extent->chunks[0].fd, os::Access::kRead).value();
  ASSERT_OK(machine_.volume().Delete(machine_.NextRequest(client_), std::span(&answer.id, 1), true,
                                     false));
  machine_.Run();
  ASSERT_TRUE(store().HasLingering());
  reader.Reset();
  EXPECT_OK(machine_.Reserve(client_, 40 * kMi));
}

// ---- quotas

TEST_F(StoreTest, AVolumesQuotaBoundsItAlone) {
  Volume* small = AddVolume(2, "small", 10 * kMi);
  EXPECT_EQ(store().LimitOf(*small), 10 * kMi);
  EXPECT_CODE(kOutOfMemory, machine_.Reserve(client_, 11 * kMi, small));
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 8 * kMi, small));
  Waited waited;
  store().Reserve(*small, client_, 8 * kMi, kNever, waited.Callback());
  machine_.Run();
  EXPECT_EQ(waited.calls, 0);
  EXPECT_EQ(store().waiting(), 1u);
  EXPECT_OK(machine_.Reserve(client_, 11 * kMi));  // another volume
  store().Abort(*first);
  store().PumpQuota();
  machine_.Run();
  EXPECT_OK(waited.status);
}

TEST_F(StoreTest, WhoCameFirstGetsTheQuotaFirst) {
  Volume* small = AddVolume(2, "small", 10 * kMi);
  Volume* other = AddVolume(3, "other", 10 * kMi);
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 4 * kMi, small));
  ASSERT_OK_AND_ASSIGN(Extent * second, machine_.Reserve(client_, 4 * kMi, small));
  Waited large;
  Waited late;
  Waited elsewhere;
  store().Reserve(*small, client_, 8 * kMi, kNever, large.Callback());
  store().Reserve(*small, client_, 1 * kMi, kNever, late.Callback());  // would fit
  store().Reserve(*other, client_, 1 * kMi, kNever, elsewhere.Callback());
  store().Abort(*first);
  machine_.Run();
  store().PumpQuota();
  machine_.Run();
  EXPECT_EQ(large.calls, 0);
  EXPECT_EQ(late.calls, 0);
  EXPECT_EQ(elsewhere.calls, 1);
  store().Abort(*second);
  machine_.Run();
  store().PumpQuota();
  machine_.Run();
  EXPECT_EQ(large.calls, 1);
  EXPECT_EQ(late.calls, 1);
}

TEST_F(StoreTest, WaitingForAQuotaEndsAtTheDeadline) {
  Volume* small = AddVolume(2, "small", 10 * kMi);
  ASSERT_OK(machine_.Reserve(client_, 8 * kMi, small));
  Waited waited;
  const auto deadline = os::Clock::now() + std::chrono::hours(1);
  store().Reserve(*small, client_, 8 * kMi, deadline, waited.Callback());
  EXPECT_LE(store().NextDeadline(), deadline);
  store().Tick(deadline);
  machine_.Run();
  EXPECT_EQ(waited.calls, 1);
  EXPECT_CODE(kOutOfMemory, waited.status);
  EXPECT_NE(waited.status.message().find("small"), std::string::npos);
}

// What waits for memory has its quota already.
TEST_F(StoreTest, WhoWaitForMemoryDoNotPassTheQuotaTogether) {
  Volume* small = AddVolume(2, "small", 10 * kMi);
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 60 * kMi));
  Waited one;
  Waited two;
  store().Reserve(*small, client_, 8 * kMi, kNever, one.Callback());
  const uint64_t ticket = store().Reserve(*small, client_, 8 * kMi, kNever, two.Callback());
  store().Abort(*first);
  machine_.Run();
  store().PumpQuota();
  machine_.Run();
  EXPECT_OK(one.status);
  EXPECT_EQ(two.calls, 0);
  EXPECT_LE(small->usage(), 10 * kMi);
  store().CancelReserve(ticket);
}

TEST_F(StoreTest, AWaitForMemoryThatIsGivenUpGivesItsQuotaBack) {
  Volume* small = AddVolume(2, "small", 10 * kMi);
  ASSERT_OK(machine_.Reserve(client_, 60 * kMi));
  Waited one;
  Waited two;
  const uint64_t ticket = store().Reserve(*small, client_, 8 * kMi, kNever, one.Callback());
  store().Reserve(*small, client_, 3 * kMi, kNever, two.Callback());
  EXPECT_EQ(small->QuotaLeft(), 2 * kMi);
  store().CancelReserve(ticket);
  machine_.Run();
  EXPECT_EQ(two.calls, 1);
  EXPECT_EQ(small->QuotaLeft(), 7 * kMi);
}

// ---- waiting for room

TEST_F(StoreTest, WhoWaitsForRoomTriesAgainInTurnAndEachOnce) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 60 * kMi));
  const uint64_t free = store().budget().free();
  store().budget().Take(Holder{1}, {free});
  std::string log;
  for (const char* who : {"a", "b", "c"}) {
    store().WaitForRoom(machine_.volume(), kMi, kNever, [&, who](Status granted) {
      ASSERT_OK(granted);
      log += who;
      log += store().budget().TryTake(Holder{1}, {kMi}) ? "+" : "-";
    });
  }
  machine_.Run();
  EXPECT_EQ(log, "");
  store().Abort(*first);
  machine_.Run();
  EXPECT_EQ(log, "a+b+c+");
  EXPECT_EQ(store().waiting(), 0u);
  store().budget().Give(Holder{1}, {free + 3 * kMi});
}

TEST_F(StoreTest, AStoreMayEndWhileSomebodyWaits) {
  ASSERT_OK(machine_.Reserve(client_, 60 * kMi));
  Waited waited;
  store().Reserve(machine_.volume(), client_, 60 * kMi, kNever, waited.Callback());
  store().WaitForRoom(machine_.volume(), 60 * kMi, kNever, [](Status) { ADD_FAILURE(); });
  machine_.Restart();
  EXPECT_EQ(waited.calls, 0);
}

// ---- ids

TEST_F(StoreTest, IdsNeverGoBackAlsoAcrossEngines) {
  uint64_t last = 0;
  for (int engine = 0; engine < 5; ++engine) {
    for (int i = 0; i < 1000; ++i) {
      const ObjectId id = store().NextId();
      ASSERT_FALSE(id.is_blob());
      ASSERT_GT(id.value(), last);
      last = id.value();
    }
    machine_.Restart();
    machine_.Restart();  // one that gives out none must hand the mark on
  }
}

}  // namespace
}  // namespace vineyard::store
