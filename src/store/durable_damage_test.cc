// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What of the durable files is damaged, missing, of another format or too much: it harms nothing else, and is
// never served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "store/durable_format.h"
#include "store/test_durable.h"

namespace vineyard::store {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class DurableDamage : public DurableTest {
 protected:
  // With the machine stopped: turns a byte of a file.
  void Damage(const spill::Key& key, uint64_t at) const {
    std::fstream file(PathOf(folder_, key), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int was = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(was ^ 0x20));
    ASSERT_TRUE(file.good());
  }
  std::vector<spill::Key> KeysOf(uint8_t kind) {
    std::vector<spill::Key> keys;
    for (const spill::Key& key : machine_->disk().Keys()) {
      if (key.kind == kind) keys.push_back(key);
    }
    std::ranges::sort(keys);
    return keys;
  }
  RecoveryReport ColdStartAfter(const std::function<void()>& change) {
    machine_->Kill();
    change();
    return ColdStart();
  }
  uint64_t SetAsideFiles() { return machine_->disk().figures().damaged_files; }
};

TEST_F(DurableDamage, ADamagedRecordIsSetAsideWithWhatNeedsItAndNothingElse) {
  const ObjectId kept = PutDurable({.bytes = "kept", .name = "k"});
  const ObjectId part = PutDurable({.bytes = "part"});
  const ObjectId whole = PutDurable({.bytes = "whole", .name = "n", .members = {part}});
  const RecoveryReport report =
      ColdStartAfter([&] { Damage({.volume = 1, .id = part.value(), .kind = kEntryFile}, 200); });
  EXPECT_EQ(report.restored.set_aside, 3u);  // the part, the whole, the name
  EXPECT_EQ(SetAsideFiles(), 3u);
  EXPECT_EQ(store().unrestored().set_aside, 3u);
  EXPECT_FALSE(Exists(part));
  EXPECT_FALSE(Exists(whole));
  EXPECT_EQ(volume().FindName("n"), nullptr);
  EXPECT_EQ(SmallBytes(kept), "kept");
  EXPECT_EQ(ColdStart().restored.set_aside, 0u);  // that was it
  EXPECT_EQ(PutDurable({.bytes = "again", .name = "n"}).is_null(), false);
}

TEST_F(DurableDamage, BytesOfADamagedRecordAreKept) {
  const ObjectId large = PutDurable({.bytes = Bytes(1, 2 * kMi), .large = true});
  ColdStartAfter(
      [&] { Damage({.volume = 1, .id = large.own_blob().value(), .kind = kEntryFile}, 200); });
  EXPECT_FALSE(Exists(large));
  EXPECT_EQ(Files(), 0u);
  EXPECT_EQ(SetAsideFiles(), 3u);
}

TEST_F(DurableDamage, DamagedBytesAreFoundWithoutAnybodyAskingAndNeverServed) {
  const ObjectId large = PutDurable({.bytes = Bytes(1, 2 * kMi), .large = true});
  const ObjectId kept = PutDurable({.bytes = Bytes(2, 2 * kMi), .large = true});
  const spill::Key key = KeysOf(kExtentFile)[0];
  ColdStartAfter([&] { Damage(key, 1'500'000); });
  EXPECT_EQ(SetAsideFiles(), 1u);
  EXPECT_CODE(kCorrupted, extent(large.own_blob()).damage);
  EXPECT_CODE(kCorrupted, Load({large.own_blob()}));
  ExpectBytes(kept.own_blob(), 2);
  EXPECT_OK(DeleteNow(large));
  ColdStart();
  EXPECT_FALSE(Exists(large));
}

TEST_F(DurableDamage, MissingBytesSetTheObjectAside) {
  const ObjectId large = PutDurable({.bytes = Bytes(1, 2 * kMi), .name = "n", .large = true});
  const spill::Key key = KeysOf(kExtentFile)[0];
  ColdStartAfter([&] { fs::remove(PathOf(folder_, key)); });
  EXPECT_FALSE(Exists(large));
  EXPECT_TRUE(volume().names().empty());
  EXPECT_EQ(SetAsideFiles(), 3u);
}

TEST_F(DurableDamage, AVolumeWhoseFileIsLostIsSetAsideAndNotRemoved) {
  AddVolume(2, "data");
  ASSERT_OK(machine_->AwaitDisk(store().FindVolume(2)->Put(
      machine_->NextRequest(client_),
      {.own_size = 0, .name = "n", .id = store().NextId(), .durable = true})));
  const ObjectId kept = PutDurable({.bytes = "kept"});
  ColdStartAfter([&] { fs::remove(PathOf(folder_, {.volume = 2, .kind = kVolumeFile})); });
  EXPECT_EQ(store().FindVolume(2), nullptr);
  EXPECT_EQ(SetAsideFiles(), 2u);
  EXPECT_EQ(SmallBytes(kept), "kept");
  EXPECT_GT(store().NextVolumeId(), 2u);  // its id is not another's
}

TEST_F(DurableDamage, AFileOfAnotherFormatIsLeftAloneWithWhatNeedsIt) {
  const ObjectId part = PutDurable({.bytes = "part"});
  const ObjectId whole = PutDurable({.bytes = "whole", .name = "n", .members = {part}});
  const ObjectId large = PutDurable({.bytes = Bytes(1, 2 * kMi), .large = true});
  const spill::Key key{.volume = 1, .id = part.value(), .kind = kEntryFile};
  machine_->Kill();
  {
    auto place =
        spill::Place::Take({.path = folder_, .instance = "instance", .limits = {}}).value();
    const auto crew = spill::Crew::Start({.threads = 2}).value();
    std::promise<Status> told;
    spill::WriteRequest request;
    request.key = key;
    request.description.assign(100, std::byte{9});
    request.if_there = spill::IfThere::kReplace;
    spill::Write(place, *crew, std::move(request),
                 [&told](Status status) { told.set_value(std::move(status)); });
    ASSERT_OK(told.get_future().get());
  }
  const size_t files = Files();
  const RecoveryReport report = ColdStart();
  EXPECT_EQ(report.restored.set_aside, 0u);
  EXPECT_EQ(report.restored.left, 3u);
  EXPECT_THAT(report.restored.lines, Contains(HasSubstr("format")));
  EXPECT_FALSE(Exists(whole));
  EXPECT_TRUE(Exists(large));
  EXPECT_EQ(Files(), files);
}

TEST_F(DurableDamage, WhatThereIsNoMemoryForStaysOnTheDisk) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(PutDurable({.bytes = Bytes(1, 60'000)}));
  const size_t files = Files();
  machine_->Kill();
  Begin(Options(4 * kMi));
  EXPECT_GT(store().unrestored().left, 10u);
  EXPECT_LT(volume().objects(), 90u);
  EXPECT_EQ(Files(), files);
  Begin(Options(32 * kMi));
  EXPECT_EQ(volume().objects(), 100u);
  for (const ObjectId id : ids) EXPECT_TRUE(SmallBytes(id) == Bytes(1, 60'000));
}

TEST_F(DurableDamage, ARecordThatIsDamagedInMemoryIsTakenFromItsFile) {
  const ObjectId id = PutDurable({.bytes = "precious", .name = "n"});
  const layout::Ref ref = volume().Find(id)->ref;
  auto* record = const_cast<std::byte*>(volume().arenas().At(ref));
  record[layout::kRecordHeader] ^= std::byte{0xff};  // of its descriptor
  machine_->Restart();
  Run();
  EXPECT_EQ(SmallBytes(id), "precious");
  ASSERT_NE(volume().FindName("n"), nullptr);
  EXPECT_EQ(volume().FindName("n")->id, id.value());
}

TEST_F(DurableTest, AVolumeComesBackAsItWas) {
  AddVolume(7, "data", {.quota = 3 * kMi, .guaranteed = 2 * kMi});
  ASSERT_OK(machine_->AwaitDisk(store().FindVolume(7)->Put(
      machine_->NextRequest(client_),
      {.own_size = 0, .name = "n", .id = store().NextId(), .durable = true})));
  ColdStart();
  Volume* data = store().FindVolume("data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->id(), 7u);
  EXPECT_TRUE(data->durable());
  EXPECT_EQ(data->quota(), 3 * kMi);
  EXPECT_EQ(store().budget().GuaranteedTo(data->holder()), 2 * kMi);
  EXPECT_NE(data->FindName("n"), nullptr);
  // Less memory: what can be given is.
  Begin(Options(1 * kMi + 512 * 1024));
  data = store().FindVolume("data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(store().budget().GuaranteedTo(data->holder()), 1 * kMi + 512 * 1024);
  machine_->Restart();
  EXPECT_TRUE(store().FindVolume("data")->durable());
  ASSERT_OK(store().RemoveVolume(7, nullptr, {}));
  Run();
  EXPECT_EQ(Files(), 0u);
}

TEST(DurableFormat, WhatIsCutShortOrTurnedIsRefusedOrReadAsAnother) {
  const std::string name = "prices";
  const std::vector<std::byte> bytes =
      EncodeDurableRecord({.fields = {.kind = layout::RecordKind::kName,
                                      .flags = layout::kFlagDurable,
                                      .value = 0x2b,
                                      .version = 3},
                           .head = std::as_bytes(std::span(name)),
                           .bytes = {},
                           .ends_ns = 5});
  ASSERT_OK_AND_ASSIGN(const DurableRecord read, DecodeDurableRecord(bytes));
  EXPECT_EQ(read.fields.value, 0x2bu);
  EXPECT_EQ(read.fields.version, 3u);
  EXPECT_EQ(read.ends_ns, 5);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(DecodeDurableRecord(std::span(bytes).first(length)).ok()) << length;
  }
  const DurableVolume volume{.name = "data",
                             .quota = 5,
                             .guaranteed = 4,
                             .hash_seed = 3,
                             .removed = false,
                             .sockets = {{{"/run/a", 0600, 1, 2}, {"/run/b", 0660, 3, 4}}}};
  const std::vector<std::byte> described = EncodeDurableVolume(volume);
  ASSERT_OK_AND_ASSIGN(const DurableVolume again, DecodeDurableVolume(described));
  EXPECT_EQ(again.name, "data");
  EXPECT_EQ(again.sockets[1].path, "/run/b");
  EXPECT_EQ(again.sockets[1].mode, 0660u);
  EXPECT_EQ(again.sockets[0].group, 2u);
  for (size_t length = 0; length < described.size(); ++length) {
    EXPECT_FALSE(DecodeDurableVolume(std::span(described).first(length)).ok()) << length;
  }
}

}  // namespace
}  // namespace vineyard::store
