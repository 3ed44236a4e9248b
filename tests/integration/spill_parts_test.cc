// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Objects of several parts, some of which are on the disk: what comes back together, and who waits for whom.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"
#include "wire/codec.h"

namespace vineyard::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMi = size_t{1} << 20;

class SpilledParts : public ::testing::Test {
 protected:
  /// A blob with a pattern; nothing of it stays mapped.
  static Result<ObjectId> PutBlob(Client& client, uint64_t seed, size_t size) {
    const auto bytes = Pattern(seed, size);
    VY_ASSIGN_OR_RETURN(MutableBlob blob, client.CreateBlob(size));
    std::ranges::copy(bytes, blob.data());
    VY_ASSIGN_OR_RETURN(const Blob sealed, client.Seal(std::move(blob)));
    return sealed.id();
  }
  /// An object of blobs, however large they are together.
  ObjectId PutWhole(const std::vector<ObjectId>& blobs, size_t size) const {
    ObjectInfo info{.type_name = "whole", .metadata = "{}"};
    for (const ObjectId blob : blobs) info.buffers.push_back({blob, 0, size});
    const std::vector<std::byte> descriptor = wire::EncodeDescriptor(info);
    RawClient raw(daemon_.socket(), FreshToken());
    const auto reply = raw.Ask(
        MakeFrame(fb::RequestBody::Put,
                  [&](Builder& b) {
                    return fb::CreatePut(b, 1, fb::PutKind::Object, descriptor.size()).Union();
                  },
                  {.payload = descriptor}));
    EXPECT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kOk);
    return ObjectId(reply->body().body_as_Done()->id());
  }
  /// With parts of these sizes, which have the seeds from `seed` on; all of it on the disk.
  ObjectId PutParts(Client& client, uint64_t seed, size_t parts, size_t size) const {
    std::vector<ObjectId> blobs;
    for (size_t i = 0; i < parts; ++i) {
      const auto blob = PutBlob(client, seed + i, size);
      EXPECT_OK(blob);
      blobs.push_back(blob.ok() ? *blob : ObjectId());
    }
    const ObjectId whole = PutWhole(blobs, size);
    EXPECT_OK(client.Evict(std::vector{whole}));
    return whole;
  }
  static void ExpectParts(const Result<Object>& object, uint64_t seed, size_t parts) {
    ASSERT_OK(object);
    ASSERT_EQ(object->buffers().size(), parts);
    for (size_t i = 0; i < parts; ++i) {
      EXPECT_TRUE(IsPattern(object->buffers()[i].bytes(), seed + i)) << i;
    }
  }

  const TempFolder disk_;
  const TestDaemon daemon_{{.size = "64Mi", .flags = {"--spill_path", disk_.path()}}};
};

// The memory holds one of the two objects. Each client maps a part as soon as it has it.
TEST_F(SpilledParts, TwoClientsWhoseGetsCrossDoNotWaitForOneAnother) {
  Client client = daemon_.Connect();
  const std::vector<ObjectId> objects{PutParts(client, 0, 2, 28 * kMi),
                                      PutParts(client, 10, 2, 28 * kMi)};
  constexpr int kRounds = 12;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Client own = daemon_.Connect();
      for (size_t round = 0; round < kRounds && !HasFailure(); ++round) {
        const size_t n = (t + round) % 2;
        ExpectParts(own.Get(objects[n]), 10 * n, 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SpilledParts, MorePartsThanARequestNamesComeTogether) {
  Client client = daemon_.Connect();
  const std::vector<ObjectId> objects{PutParts(client, 0, 20, 2 * kMi),
                                      PutParts(client, 100, 20, 2 * kMi)};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Client own = daemon_.Connect();
      for (size_t round = 0; round < 10 && !HasFailure(); ++round) {
        const size_t n = (t + round) % 2;
        ExpectParts(own.Get(objects[n]), 100 * n, 20);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SpilledParts, AnObjectThatNeverFitsIsRefusedAtOnceAndReadPartByPart) {
  Client client = daemon_.Connect();
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 5; ++i) {
    auto blob = PutBlob(client, i, 20 * kMi);
    ASSERT_OK(blob);
    blobs.push_back(*blob);
  }
  const ObjectId whole = PutWhole(blobs, 20 * kMi);
  // As long as it takes: nobody waits for what can't come.
  const Status refused = client.Get(whole, {.timeout = std::chrono::hours(1)}).status();
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_THAT(refused.message(), HasSubstr(whole.ToString() + " has 100 MiB in 5 blobs"));
  EXPECT_THAT(refused.message(), HasSubstr("the limit is 64 MiB"));
  EXPECT_THAT(refused.message(), HasSubstr("read it part by part: client.iter_parts"));
  EXPECT_CODE(kOutOfMemory, client.Load(std::vector{whole}, {.timeout = std::chrono::hours(1)}));
  const auto info = client.Get(whole, {.map_buffers = false});
  ASSERT_OK(info);
  for (uint64_t i = 0; i < 5; ++i) {
    const auto blob = client.GetBlob(blobs[i]);
    ASSERT_OK(blob) << i;
    EXPECT_TRUE(IsPattern(blob->bytes(), i));
  }
}

TEST_F(SpilledParts, ALoadThatIsNotWaitedForBringsThemBackMeanwhile) {
  Client client = daemon_.Connect();
  const ObjectId whole = PutParts(client, 0, 2, 4 * kMi);
  const LoadOptions ahead{.wait = false};
  ASSERT_OK(client.Load(std::vector{whole}, ahead));
  EXPECT_TRUE(Eventually([&] { return client.GetPlaces(whole)->spilled_bytes == 0; }));
  EXPECT_FALSE(client.GetPlaces(whole)->pinned || client.GetPlaces(whole)->in_use);
  ExpectParts(client.Get(whole), 0, 2);
  // Of what can't be brought back nobody hears here; the get says it.
  EXPECT_OK(client.Load(std::vector{ObjectId(12345)}, ahead));
  EXPECT_CODE(kInvalid, client.Load(std::vector{whole}, {.pin = true, .wait = false}));
  // A client that goes leaves none who waits.
  {
    Client other = daemon_.Connect();
    ASSERT_OK(client.Evict(std::vector{whole}));
    ASSERT_OK(other.Load(std::vector{whole}, ahead));
  }
  EXPECT_TRUE(Eventually([&] { return client.GetStatus()->waiting == 0; }));
  ExpectParts(client.Get(whole), 0, 2);
}

TEST_F(SpilledParts, PlacesOfManyPartsAreFoundOutInTurns) {
  Client client = daemon_.Connect();
  const ObjectId whole = PutParts(client, 0, 90, 300'000);
  auto places = client.GetPlaces(whole);
  ASSERT_OK(places);
  EXPECT_EQ(places->memory_bytes, 0u);
  const uint64_t all = places->spilled_bytes;
  EXPECT_GE(all, 90 * 300'000u);
  ASSERT_OK(client.Load(std::vector{whole}, {.pin = true}));
  places = client.GetPlaces(whole);
  ASSERT_OK(places);
  EXPECT_EQ(places->memory_bytes, all);
  EXPECT_EQ(places->spilled_bytes, 0u);
  EXPECT_FALSE(places->in_use);
  EXPECT_TRUE(places->pinned);
  {
    const auto object = client.Get(whole);
    ExpectParts(object, 0, 90);
    EXPECT_TRUE(client.GetPlaces(whole)->in_use);
  }
  // Who asks and goes is nobody's trouble.
  for (int i = 0; i < 20; ++i) {
    RawClient raw(daemon_.socket(), FreshToken());
    ASSERT_TRUE(raw.Send(MakeFrame(fb::RequestBody::GetPlaces, [&](Builder& b) {
      return fb::CreateGetPlaces(b, whole.value()).Union();
    })));
  }
  EXPECT_OK(client.GetPlaces(whole));
}

// ---- pins, told to the next engine

TEST_F(SpilledParts, HoweverManyPinsAClientHasTheyAreRestored) {
  Client client = daemon_.Connect();
  const ObjectId first = PutParts(client, 0, 2, kMi);
  const ObjectId last = PutParts(client, 10, 2, kMi);
  std::vector<uint64_t> pinned{first.value()};
  for (uint64_t id = 1; id < 70'000; ++id) pinned.push_back(id);  // of objects that are gone
  pinned.push_back(last.value());
  const Token token = FreshToken();
  RawClient raw(daemon_.socket());
  const auto welcome = raw.Ask(MakeFrame(fb::RequestBody::Hello, [&](Builder& b) {
    const fb::Token t(token.high, token.low);
    return fb::CreateHello(b, wire::kProtocolVersion, &t, 1, 0, 0, b.CreateVector(pinned)).Union();
  }));
  ASSERT_TRUE(welcome);
  ASSERT_EQ(welcome->code(), StatusCode::kOk);
  EXPECT_TRUE(Eventually(
      [&] { return client.GetPlaces(first)->pinned && client.GetPlaces(last)->pinned; }));
  ASSERT_OK(client.Load(std::vector{first, last}));
  EXPECT_CODE(kFailedPrecondition, client.Evict(std::vector{first}));
  EXPECT_CODE(kFailedPrecondition, client.Evict(std::vector{last}));
  raw.Close();
}

TEST_F(SpilledParts, PinsOfObjectsWithVeryManyPartsAreRestored) {
  TestDaemon daemon({.size = "64Mi", .flags = {"--spill_path", disk_.path() + "/other"}});
  Client client = daemon.Connect();
  Client other = daemon.Connect();
  std::vector<ObjectId> wholes;
  for (uint64_t n = 0; n < 2; ++n) {
    constexpr uint64_t kParts = 6000;
    std::vector<ObjectBuilder> small(kParts, ObjectBuilder("small"));
    ObjectBuilder whole("whole");
    const auto parts = client.PutMany(small);
    ASSERT_EQ(parts.size(), kParts);
    for (const auto& part : parts) {
      ASSERT_OK(part);
      whole.AddMember(part->ToString(), *part);
    }
    const auto large = PutPattern(client, n, kMi);
    ASSERT_OK(large);
    whole.AddMember("large", *large);
    const auto id = client.Put(whole);
    ASSERT_OK(id);
    wholes.push_back(*id);
  }
  for (const ObjectId id : wholes) ASSERT_OK(client.Load(std::vector{id}, {.pin = true}));
  daemon.KillEngine();
  ASSERT_OK(client.GetStatus());  // it has connected again
  for (const ObjectId id : wholes) {
    EXPECT_TRUE(Eventually([&] { return other.GetPlaces(id)->pinned; }));
  }
  ASSERT_OK(client.Unpin(wholes));
  EXPECT_FALSE(other.GetPlaces(wholes[0])->pinned || other.GetPlaces(wholes[1])->pinned);
}

TEST_F(SpilledParts, WhatIsPinnedStaysSoThoughMuchThatWasIsDeleted) {
  TestDaemon daemon({.size = "64Mi", .flags = {"--spill_path", disk_.path() + "/other"}});
  Client client = daemon.Connect();
  Client other = daemon.Connect();
  const auto stays = PutPattern(client, 1, kMi);
  ASSERT_OK(stays);
  ASSERT_OK(client.Load(std::vector{*stays}, {.pin = true}));
  for (uint64_t i = 0; i < 600; ++i) {
    const auto goes = PutPattern(client, i, 300'000);
    ASSERT_OK(goes);
    ASSERT_OK(client.Load(std::vector{*goes}, {.pin = true}));
    ASSERT_OK((i % 2 == 0 ? client : other).Delete({*goes}));
  }
  daemon.KillEngine();
  ASSERT_OK(client.GetStatus());
  EXPECT_TRUE(other.GetPlaces(*stays)->pinned);
}

}  // namespace
}  // namespace vineyard::testing
