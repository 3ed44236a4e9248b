// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names that keep in memory what they point to: a real instance with a real disk, real clients.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMi = size_t{1} << 20;

class KeepingNames : public ::testing::Test {
 protected:
  DaemonOptions Options() const {
    DaemonOptions options{.size = "64Mi"};
    options.flags = {"--spill_path", disk_.path()};
    return options;
  }
  static Result<ObjectId> Put(Client& client, uint64_t seed, size_t size, PutOptions options = {}) {
    const auto bytes = Pattern(seed, size);
    ObjectBuilder builder("test");
    builder.AddBuffer(bytes);
    return client.Put(builder, options);
  }
  static bool IsWholeInMemory(Client& client, ObjectId id) {
    const auto places = client.GetPlaces(id);
    return places.ok() && places->spilled_bytes == 0 && places->kept;
  }

  const TempFolder disk_;
};

TEST_F(KeepingNames, FourTimesTheMemoryComesAndWhatIsKeptStays) {
  const TestDaemon daemon(Options());
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId kept,
                       Put(client, 1, 12 * kMi, {.name = "kept", .keep = true}));
  ASSERT_OK_AND_ASSIGN(const ObjectId other, Put(client, 2, 12 * kMi, {.name = "other"}));
  std::vector<ObjectId> more;
  for (uint64_t seed = 10; seed < 74; ++seed) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(client, seed, 4 * kMi));
    more.push_back(id);
    ASSERT_TRUE(IsWholeInMemory(client, kept)) << seed;
  }
  EXPECT_GT(client.GetPlaces(other)->spilled_bytes, 0u);
  EXPECT_FALSE(client.GetPlaces(other)->kept);
  for (uint64_t i = 0; i < more.size(); ++i) {
    EXPECT_TRUE(HoldsPattern(client.Get(more[i]), i + 10, 4 * kMi));
  }
  EXPECT_TRUE(IsWholeInMemory(client, kept));
  EXPECT_TRUE(HoldsPattern(client.Get("kept"), 1, 12 * kMi));
  EXPECT_EQ(client.GetStatus()->kept_by_names, 12 * kMi);
}

TEST_F(KeepingNames, WhatLiesOnTheDiskIsBroughtBackBeforeTheNameIsThere) {
  TestDaemon daemon(Options());
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId part, Put(client, 1, 8 * kMi));
  ASSERT_OK_AND_ASSIGN(const ObjectId whole,
                       client.Put(ObjectBuilder("whole").AddMember("part", part)));
  ASSERT_OK(client.Evict(std::vector{part}));
  ASSERT_OK(client.PutName("n", whole, {.keep = true}));
  EXPECT_TRUE(IsWholeInMemory(client, part));
  EXPECT_TRUE(client.GetName("n")->keep);
  EXPECT_TRUE(client.ListNames()->front().keep);
  Client other = daemon.Connect();
  EXPECT_CODE(kFailedPrecondition, other.Evict(std::vector{whole}));
  // A put that is to be kept brings back what it refers to.
  ASSERT_OK(client.PutName("n", whole));
  EXPECT_FALSE(client.GetName("n")->keep);
  ASSERT_OK(client.Evict(std::vector{part}));
  ASSERT_OK(client.Put(ObjectBuilder("another").AddMember("part", part),
                       {.name = "another", .keep = true}));
  EXPECT_TRUE(IsWholeInMemory(client, part));
  daemon.KillEngine();
  EXPECT_CODE(kFailedPrecondition, client.Evict(std::vector{part})) << "the next engine knows it";
  EXPECT_TRUE(HoldsPattern(client.Get(part), 1, 8 * kMi));
  ASSERT_OK(client.DropName("another"));
  ASSERT_OK(client.Evict(std::vector{part}));
}

TEST_F(KeepingNames, WhatDoesNotFitIsRefusedAndTheNameIsAsItWas) {
  const TestDaemon daemon(Options());
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId away, Put(client, 1, 30 * kMi));
  ASSERT_OK(client.Evict(std::vector{away}));
  ASSERT_OK(client.PutName("n", away));
  ASSERT_OK(Put(client, 2, 40 * kMi, {.name = "kept", .keep = true}));
  const Status refused =
      client.PutName("n", away, {.timeout = std::chrono::milliseconds(300), .keep = true}).status();
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("40 MiB kept by names"));
  EXPECT_EQ(client.GetName("n")->version, 1u);
  EXPECT_FALSE(client.GetName("n")->keep);
  EXPECT_CODE(kInvalid, Put(client, 3, 100, {.keep = true}));
  ASSERT_OK(client.DropName("kept"));
  ASSERT_OK(client.PutName("n", away, {.keep = true}));
  EXPECT_TRUE(IsWholeInMemory(client, away));
}

TEST_F(KeepingNames, ADurableOneKeepsAfterEverythingWasKilled) {
  TestDaemon daemon(Options());
  ObjectId kept;
  ObjectId other;
  {
    Client client = daemon.Connect();
    ASSERT_OK_AND_ASSIGN(kept, Put(client, 1, 8 * kMi));
    ASSERT_OK(client.Evict(std::vector{kept}));
    ASSERT_OK(client.PutName("n", kept, {.durability = Durability::kDisk, .keep = true}));
    ASSERT_OK_AND_ASSIGN(other, Put(client, 2, 8 * kMi,
                                    {.name = "o", .durability = Durability::kDisk, .keep = true}));
  }
  daemon.KillKeeper();
  daemon.Start();
  Client client = daemon.Connect();
  EXPECT_TRUE(Eventually([&] { return IsWholeInMemory(client, kept); })) << "nobody asks for it";
  EXPECT_TRUE(Eventually([&] { return IsWholeInMemory(client, other); }));
  EXPECT_TRUE(client.GetName("n")->keep);
  EXPECT_TRUE(HoldsPattern(client.Get("n"), 1, 8 * kMi));
  EXPECT_TRUE(HoldsPattern(client.Get("o"), 2, 8 * kMi));
}

TEST_F(KeepingNames, WithoutADiskItIsKeptForLaterAndAReaderCanNotSayIt) {
  const TestDaemon daemon;
  Client owner = daemon.Connect();
  VolumeOptions volume;
  volume.read_only_socket = daemon.folder() + "/shown/vineyard.sock";
  ASSERT_OK_AND_ASSIGN(const VolumeInfo made,
                       owner.CreateVolume("data", daemon.folder() + "/volume", volume));
  Client client = Client::Connect(made.socket).value();
  ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(client, 1, 2 * kMi, {.name = "n", .keep = true}));
  EXPECT_TRUE(client.GetName("n")->keep);
  EXPECT_EQ(client.GetStatus()->kept_by_names, 2 * kMi);
  EXPECT_EQ(owner.GetStatus()->kept_by_names, 0u);
  Client reader = Client::Connect(made.read_only_socket).value();
  EXPECT_CODE(kPermissionDenied, reader.PutName("mine", id, {.keep = true}));
  EXPECT_TRUE(reader.GetName("n")->keep);
  EXPECT_TRUE(reader.GetPlaces(id)->kept);
  ASSERT_OK(client.Delete({id}));
  EXPECT_EQ(client.GetStatus()->kept_by_names, 0u);
}

}  // namespace
}  // namespace vineyard::testing
