// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/volume.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "base/testing.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

class VolumeTest : public ::testing::Test {
 protected:
  Volume& volume() { return machine_.volume(); }
  Result<layout::Answer> Put(const TestObject& object) { return machine_.Put(client_, object); }
  ObjectId PutId(const TestObject& object) {
    auto answer = Put(object);
    EXPECT_OK(answer);
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  Result<layout::Answer> PutName(std::string_view name, ObjectId id,
                                 std::optional<uint64_t> if_version = {}) {
    return volume().PutName(machine_.NextRequest(client_), name, id, if_version);
  }
  Result<layout::Answer> DropName(std::string_view name, std::optional<uint64_t> if_version = {}) {
    return volume().DropName(machine_.NextRequest(client_), name, if_version);
  }
  struct DeleteOptions {
    bool deep = true;
    bool force = false;
  };
  Result<layout::Answer> Delete(std::vector<uint64_t> ids, DeleteOptions options) {
    return volume().Delete(machine_.NextRequest(client_), ids, options.deep, options.force);
  }
  Result<layout::Answer> Delete(ObjectId id) { return Delete({id.value()}, {}); }
  bool Exists(ObjectId id) { return volume().Find(id) != nullptr; }
  void TearDown() override {
    machine_.Run();
    machine_.CheckConsistent();
  }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

// ---- what is refused changes nothing

TEST_F(VolumeTest, RefusesBadNames) {
  const ObjectId id = PutId({.bytes = "x"});
  for (const std::string& name : {std::string(), std::string(4097, 'n'), std::string("a\0b", 3)}) {
    EXPECT_CODE(kInvalid, PutName(name, id));
    EXPECT_CODE(kInvalid, DropName(name));
  }
  EXPECT_OK(PutName(std::string(4096, 'n'), id));
  EXPECT_OK(PutName("\xff\xfe", id));
}

TEST_F(VolumeTest, RefusesPartsThatAreNotThere) {
  const uint64_t usage = volume().usage();
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .members = {ObjectId(12345)}}));
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .blobs = {ObjectId(12345).own_blob()}}));
  // Objects are no blobs.
  const ObjectId id = PutId({.bytes = "x"});
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .blobs = {id}}));
  ASSERT_OK(Delete(id));
  EXPECT_EQ(volume().usage(), usage);
}

TEST_F(VolumeTest, RefusesBuffersBehindTheirBlob) {
  ObjectInfo info;
  info.type_name = "test";
  info.metadata = "{}";
  for (const BufferRef range : {BufferRef{{}, 0, 5}, BufferRef{{}, 5, 0}, BufferRef{{}, 4, 1},
                                BufferRef{{}, ~uint64_t{0}, 2}, BufferRef{{}, 2, ~uint64_t{0}}}) {
    info.buffers = {range};
    const auto descriptor = wire::EncodeDescriptor(info);
    const std::string bytes = "four";
    EXPECT_CODE(kInvalid, volume().Put(machine_.NextRequest(client_),
                                       {.descriptor = descriptor,
                                        .bytes = std::as_bytes(std::span(bytes)),
                                        .own_size = 4,
                                        .id = machine_.store().NextId()}));
  }
}

TEST_F(VolumeTest, RefusesAnObjectThatIsItsOwnMember) {
  const ObjectId id = machine_.store().NextId();
  ObjectInfo info;
  info.type_name = "test";
  info.members = {{"me", id}};
  const auto descriptor = wire::EncodeDescriptor(info);
  EXPECT_CODE(kNotFound,
              volume().Put(machine_.NextRequest(client_), {.descriptor = descriptor, .id = id}));
}

TEST_F(VolumeTest, RefusesATypenameThatIsEmptyOrTooLong) {
  for (const size_t length : {size_t{0}, size_t{4097}}) {
    ObjectInfo info;
    info.type_name = std::string(length, 't');
    const auto descriptor = wire::EncodeDescriptor(info);
    EXPECT_CODE(kInvalid,
                volume().Put(machine_.NextRequest(client_),
                             {.descriptor = descriptor, .id = machine_.store().NextId()}));
  }
}

TEST_F(VolumeTest, RefusesToNameOrDropWhatIsNotThere) {
  EXPECT_CODE(kNotFound, PutName("n", ObjectId(5)));
  EXPECT_CODE(kNotFound, DropName("n"));
  EXPECT_CODE(kNotFound, Delete(ObjectId(5)));
  EXPECT_CODE(kNotFound, volume().SetLabels(machine_.NextRequest(client_), ObjectId(5), {}));
}

TEST_F(VolumeTest, ComparesVersionsBeforeItSets) {
  const ObjectId id = PutId({.bytes = "x", .name = "n", .if_version = 0});
  EXPECT_CODE(kConflict, Put({.bytes = "y", .name = "n", .if_version = 0}));
  EXPECT_CODE(kConflict, Put({.bytes = "y", .name = "n", .if_version = 2}));
  EXPECT_CODE(kConflict, PutName("n", id, 7));
  EXPECT_CODE(kConflict, DropName("n", 7));
  EXPECT_TRUE(Exists(id));
  ASSERT_OK_AND_ASSIGN(const auto second, Put({.bytes = "y", .name = "n", .if_version = 1}));
  EXPECT_EQ(second.value, 2u);
  EXPECT_OK(DropName("n", 2));
  EXPECT_OK(PutName("n", PutId({.bytes = "z"}), 0));
}

TEST_F(VolumeTest, APutThatFindsNoRoomLeavesNoTrace) {
  const uint64_t free = machine_.store().budget().free();
  machine_.store().budget().Take(free);
  const size_t objects = volume().objects();
  std::string bytes(60'000, 'x');
  size_t puts = 0;
  while (Put({.bytes = bytes, .name = "n" + std::to_string(puts)}).ok()) ++puts;
  EXPECT_EQ(volume().objects(), objects + puts);
  EXPECT_EQ(volume().FindName("n" + std::to_string(puts)), nullptr);
  machine_.CheckConsistent();
  machine_.store().budget().Give(free);
  EXPECT_OK(Put({.bytes = bytes}));
}

// ---- reading

TEST_F(VolumeTest, AReaderFindsWhatWasPutByTheIndexAlone) {
  const ObjectId id = PutId({.bytes = "hello", .name = "greeting"});
  const auto record = machine_.Read(id);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(record->bytes().data()), 5), "hello");
  const auto name = machine_.ReadName("greeting");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->fields().value, id.value());
  EXPECT_EQ(name->fields().version, 1u);
  ASSERT_OK(Delete(id));
  EXPECT_FALSE(machine_.Read(id).has_value());
  EXPECT_FALSE(machine_.ReadName("greeting").has_value());
}

TEST_F(VolumeTest, TheIndexGrowsWithWhatItHolds) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 3000; ++i) ids.push_back(PutId({.bytes = "x"}));
  machine_.CheckConsistent();
  for (size_t i = 0; i < ids.size(); i += 97) EXPECT_TRUE(machine_.Read(ids[i]).has_value());
  for (const ObjectId id : ids) ASSERT_OK(Delete(id));
  EXPECT_EQ(volume().usage(), 0u);
}

// ---- names and who owns what

TEST_F(VolumeTest, AnObjectPutWithANameGoesWithItsLastName) {
  const ObjectId id = PutId({.bytes = "x", .name = "a"});
  ASSERT_OK(PutName("b", id));
  ASSERT_OK(DropName("a"));
  EXPECT_TRUE(Exists(id));
  ASSERT_OK(DropName("b"));
  EXPECT_FALSE(Exists(id));
}

TEST_F(VolumeTest, ANameThatOnlyRefersTakesNothingAlong) {
  const ObjectId id = PutId({.bytes = "x"});
  ASSERT_OK(PutName("a", id));
  ASSERT_OK(DropName("a"));
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, OverwritingANameFreesTheOldValueAndCountsVersions) {
  const ObjectId first = PutId({.bytes = "1", .name = "n"});
  const uint64_t usage = volume().usage();
  for (uint64_t version = 2; version < 10; ++version) {
    ASSERT_OK_AND_ASSIGN(const auto answer, Put({.bytes = "2", .name = "n"}));
    EXPECT_EQ(answer.value, version);
    EXPECT_EQ(volume().FindName("n")->version, version);
    EXPECT_EQ(machine_.ReadName("n")->fields().version, version);
  }
  EXPECT_FALSE(Exists(first));
  EXPECT_EQ(volume().objects(), 1u);
  EXPECT_EQ(volume().usage(), usage);
}

TEST_F(VolumeTest, OverwritingAReferringNameKeepsWhatItReferredTo) {
  const ObjectId id = PutId({.bytes = "1"});
  ASSERT_OK(PutName("n", id));
  PutId({.bytes = "2", .name = "n"});
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, PuttingANameWhereItIsAlreadyKeepsTheObject) {
  const ObjectId id = PutId({.bytes = "1", .name = "n"});
  ASSERT_OK_AND_ASSIGN(const auto answer, PutName("n", id));
  EXPECT_EQ(answer.value, 2u);
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, ANamedPartOfAnObjectStaysWithTheObject) {
  const ObjectId part = PutId({.bytes = "1", .name = "part"});
  const ObjectId whole = PutId({.bytes = "2", .members = {part}});
  ASSERT_OK(DropName("part"));
  EXPECT_TRUE(Exists(part));
  ASSERT_OK(Delete(whole));
  EXPECT_FALSE(Exists(part));
}

TEST_F(VolumeTest, AValueThatRefersToTheOneItReplacesKeepsIt) {
  const ObjectId first = PutId({.bytes = "1", .name = "n"});
  const ObjectId second = PutId({.bytes = "2", .name = "n", .members = {first}});
  EXPECT_TRUE(Exists(first));
  ASSERT_OK(DropName("n"));
  EXPECT_FALSE(Exists(first));
  EXPECT_FALSE(Exists(second));
}

TEST_F(VolumeTest, AValueThatRefersToPartsOfTheOneItReplacesKeepsThem) {
  const ObjectId kept = PutId({.bytes = "kept"});
  const ObjectId lost = PutId({.bytes = "lost"});
  const ObjectId deep = PutId({.bytes = "deep"});
  const ObjectId middle = PutId({.bytes = "middle", .members = {deep}});
  PutId({.bytes = "1", .name = "n", .members = {kept, lost, middle}});
  PutId({.bytes = "2", .name = "n", .members = {kept, deep}});
  EXPECT_TRUE(Exists(kept));
  EXPECT_TRUE(Exists(deep));
  EXPECT_FALSE(Exists(lost));
  EXPECT_FALSE(Exists(middle));
}

TEST_F(VolumeTest, AValueThatRefersToBytesOfTheOneItReplacesKeepsThem) {
  const ObjectId first = PutId({.bytes = "large", .name = "n", .large = true});
  const uint64_t usage = volume().usage();
  const ObjectId second = PutId({.name = "n", .blobs = {first.own_blob()}});
  machine_.Run();
  EXPECT_FALSE(Exists(first));
  EXPECT_TRUE(Exists(first.own_blob()));
  EXPECT_EQ(volume().ExtentsOf(*volume().Find(second)), std::vector{first.own_blob()});
  EXPECT_NEAR(static_cast<double>(volume().usage()), static_cast<double>(usage), 512);
  ASSERT_OK(DropName("n"));
  machine_.Run();
  EXPECT_FALSE(Exists(first.own_blob()));
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(VolumeTest, RenamingToAPartOfTheOldValueKeepsThePart) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "whole", .name = "n", .members = {part}});
  ASSERT_OK(PutName("n", part));
  EXPECT_FALSE(Exists(whole));
  EXPECT_TRUE(Exists(part));
}

TEST_F(VolumeTest, ANamedBlobGoesWithItsName) {
  ASSERT_OK_AND_ASSIGN(const auto answer, machine_.PutBlob(client_, "bytes", "b"));
  const ObjectId blob(answer.id);
  EXPECT_TRUE(blob.is_blob());
  EXPECT_EQ(volume().blobs(), 1u);
  ASSERT_OK(DropName("b"));
  EXPECT_FALSE(Exists(blob));
}

TEST_F(VolumeTest, ABlobStaysWhileAnObjectHasBuffersInIt) {
  const ObjectId blob(machine_.PutBlob(client_, "bytes", "b")->id);
  const ObjectId a = PutId({.blobs = {blob}});
  const ObjectId b = PutId({.blobs = {blob}});
  ASSERT_OK(DropName("b"));
  EXPECT_CODE(kFailedPrecondition, Delete(blob));
  ASSERT_OK(Delete(a));
  EXPECT_TRUE(Exists(blob));
  ASSERT_OK(Delete(b));
  EXPECT_FALSE(Exists(blob));
}

// ---- deleting

TEST_F(VolumeTest, APartIsDeletedOnlyByForceAndThenTheWholeGoesToo) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId other = PutId({.bytes = "other"});
  const ObjectId whole = PutId({.bytes = "whole", .members = {part, other}});
  const ObjectId top = PutId({.bytes = "top", .name = "top", .members = {whole}});
  EXPECT_CODE(kFailedPrecondition, Delete(part));
  EXPECT_CODE(kFailedPrecondition, Delete({part.value()}, {.deep = false}));
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({part.value()}, {.force = true}));
  EXPECT_EQ(answer.value, 4u);
  for (const ObjectId id : {part, other, whole, top}) EXPECT_FALSE(Exists(id));
  EXPECT_EQ(volume().FindName("top"), nullptr);
}

TEST_F(VolumeTest, APartMayGoTogetherWithItsWhole) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "whole", .members = {part}});
  EXPECT_OK(Delete({part.value(), whole.value(), part.value()}, {}));
  EXPECT_EQ(volume().objects(), 0u);
}

TEST_F(VolumeTest, DeletingAllOrNothing) {
  const ObjectId id = PutId({.bytes = "x"});
  EXPECT_CODE(kNotFound, Delete({id.value(), 12345}, {}));
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, ShallowDeletingKeepsMembersButNotTheOwnBytes) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "large", .members = {part}, .large = true});
  ASSERT_OK(Delete({whole.value()}, {.deep = false}));
  EXPECT_TRUE(Exists(part));
  EXPECT_FALSE(Exists(whole.own_blob()));
}

TEST_F(VolumeTest, DeepDeletingKeepsWhatOthersOrNamesReferTo) {
  const ObjectId shared = PutId({.bytes = "shared"});
  const ObjectId named = PutId({.bytes = "named", .name = "n"});
  const ObjectId a = PutId({.bytes = "a", .members = {shared, named}});
  const ObjectId b = PutId({.bytes = "b", .members = {shared}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({a.value()}, {}));
  EXPECT_EQ(answer.value, 1u);
  EXPECT_TRUE(Exists(shared));
  EXPECT_TRUE(Exists(named));
  ASSERT_OK(Delete(b));
  EXPECT_FALSE(Exists(shared));
}

TEST_F(VolumeTest, ADiamondGoesWhole) {
  const ObjectId bottom = PutId({.bytes = "bottom"});
  const ObjectId left = PutId({.bytes = "left", .members = {bottom}});
  const ObjectId right = PutId({.bytes = "right", .members = {bottom}});
  const ObjectId top = PutId({.bytes = "top", .members = {left, right, bottom}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({top.value()}, {}));
  EXPECT_EQ(answer.value, 4u);
}

TEST_F(VolumeTest, DeletingTakesAllNamesAlong) {
  const ObjectId id = PutId({.bytes = "x", .name = "a"});
  for (int i = 0; i < 20; ++i) ASSERT_OK(PutName("b" + std::to_string(i), id));
  ASSERT_OK(Delete(id));
  EXPECT_TRUE(volume().names().empty());
}

TEST_F(VolumeTest, ALongChainIsDeletedWithoutRecursion) {
  ObjectId last = PutId({.bytes = "x"});
  for (int i = 0; i < 5000; ++i) last = PutId({.bytes = "x", .members = {last}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({last.value()}, {}));
  EXPECT_EQ(answer.value, 5001u);
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(VolumeTest, TheExtentOfADeletedObjectIsGivenBack) {
  const uint64_t held = machine_.store().budget().held();
  const ObjectId id = PutId({.bytes = std::string(3 << 20, 'x'), .large = true});
  EXPECT_EQ(volume().ExtentsOf(*volume().Find(id)), std::vector{id.own_blob()});
  EXPECT_GE(volume().usage(), uint64_t{3} << 20);
  ASSERT_OK(Delete(id));
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_LE(machine_.store().budget().held(), held + (64 << 10));
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), 0u);
}

// ---- labels

TEST_F(VolumeTest, LabelsAreAddedAndReplacedAndNothingElseChanges) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId id = PutId({.bytes = "hello", .name = "n", .members = {part}});
  const auto before = machine_.Read(id);
  ASSERT_OK(volume().SetLabels(machine_.NextRequest(client_), id, {{"a", "1"}, {"b", "2"}}));
  ASSERT_OK(volume().SetLabels(machine_.NextRequest(client_), id, {{"a", "3"}}));
  const auto after = machine_.Read(id);
  ASSERT_TRUE(after.has_value());
  const ObjectInfo was = wire::ToObjectInfo(**wire::DecodeDescriptor(before->head()));
  const ObjectInfo now = wire::ToObjectInfo(**wire::DecodeDescriptor(after->head()));
  ASSERT_EQ(now.labels.size(), 2u);
  EXPECT_EQ(now.labels[0].value, "3");
  EXPECT_EQ(now.created_unix_ns, was.created_unix_ns);
  EXPECT_EQ(now.members.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(before->bytes(), after->bytes()));
  ASSERT_OK(DropName("n"));
  EXPECT_FALSE(Exists(id));
  EXPECT_FALSE(Exists(part));
}

TEST_F(VolumeTest, ABlobHasNoLabels) {
  const ObjectId blob(machine_.PutBlob(client_, "bytes")->id);
  EXPECT_CODE(kNotFound, volume().SetLabels(machine_.NextRequest(client_), blob, {{"a", "1"}}));
}

// ---- answers

TEST_F(VolumeTest, EachChangeLeavesItsAnswerWithTheClient) {
  const Request request = machine_.NextRequest(client_);
  ASSERT_OK_AND_ASSIGN(const auto answer,
                       volume().Put(request, {.own_size = 0, .id = machine_.store().NextId()}));
  const auto recalled = machine_.store().clients().Recall(*request.client, request.number);
  ASSERT_OK(recalled);
  ASSERT_TRUE(recalled->has_value());
  EXPECT_EQ((*recalled)->id, answer.id);
}

// ---- against a model

// What ARCHITECTURE says of ownership and life, in as few words as it takes: no counts, no tables.
class Model {
 public:
  struct Thing {
    std::set<uint64_t> parts;
    bool owned = false;
  };
  std::map<uint64_t, Thing> things;
  struct Name {
    uint64_t id;
    uint64_t version;
    auto operator<=>(const Name&) const = default;
  };
  std::map<std::string, Name> names;

  [[nodiscard]] bool IsNamed(uint64_t id) const {
    return std::ranges::any_of(names, [&](const auto& n) { return n.second.id == id; });
  }
  [[nodiscard]] std::set<uint64_t> Wholes(uint64_t id) const {
    std::set<uint64_t> wholes;
    for (const auto& [other, thing] : things) {
      if (thing.parts.contains(id)) wholes.insert(other);
    }
    return wholes;
  }
  // False: refused.
  bool Remove(const std::set<uint64_t>& roots, bool deep, bool force,
              const std::set<uint64_t>& keep = {}) {
    std::set<uint64_t> doomed = roots;
    for (const uint64_t root : roots) {
      if (!things.contains(root)) return false;
      for (const uint64_t whole : Wholes(root)) {
        if (!force && !roots.contains(whole)) return false;
      }
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (const uint64_t id : std::set(doomed)) {
        if (force) {
          for (const uint64_t whole : Wholes(id)) changed |= doomed.insert(whole).second;
        }
        for (const uint64_t part : things.at(id).parts) {
          const bool own = part == ObjectId(id).own_blob().value();
          if (!(deep || own) || IsNamed(part) || keep.contains(part)) continue;
          if (std::ranges::includes(doomed, Wholes(part))) changed |= doomed.insert(part).second;
        }
      }
    }
    for (const uint64_t id : doomed) things.erase(id);
    std::erase_if(names, [&](const auto& n) { return doomed.contains(n.second.id); });
    return true;
  }
  // The name has been taken from `id`.
  void Unnamed(uint64_t id, const std::set<uint64_t>& keep) {
    if (!things.contains(id) || !things[id].owned || IsNamed(id) || !Wholes(id).empty()) return;
    if (!keep.contains(id)) Remove({id}, true, false, keep);
  }
  void SetName(const std::string& name, uint64_t id, const std::set<uint64_t>& keep) {
    const auto it = names.find(name);
    const uint64_t old = it == names.end() ? 0 : it->second.id;
    names[name] = {id, it == names.end() ? 1 : it->second.version + 1};
    if (old != 0 && old != id) Unnamed(old, keep);
  }
  bool DropName(const std::string& name) {
    const auto it = names.find(name);
    if (it == names.end()) return false;
    const uint64_t id = it->second.id;
    names.erase(it);
    Unnamed(id, {});
    return true;
  }

  void ExpectSame(const Volume& volume) const {
    std::set<uint64_t> ours;
    std::set<uint64_t> theirs;
    for (const auto& [id, thing] : things) ours.insert(id);
    for (const auto& [id, entry] : volume.entries()) theirs.insert(id);
    ASSERT_EQ(ours, theirs);
    std::map<std::string, Name> their_names;
    for (const auto& [name, entry] : volume.names()) their_names[name] = {entry.id, entry.version};
    ASSERT_EQ(names, their_names);
  }
};

class VolumeModel : public VolumeTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  uint64_t Any(bool blob) {
    std::vector<uint64_t> ids;
    for (const auto& [id, thing] : model_.things) {
      if (ObjectId(id).is_blob() == blob) ids.push_back(id);
    }
    return ids.empty() ? 0 : ids[random_() % ids.size()];
  }
  std::string AnyName() { return "n" + std::to_string(random_() % 8); }

  void PutSomething() {
    TestObject object;
    object.bytes = std::string(1 + random_() % 3000, 'x');
    object.large = random_() % 10 == 0;
    if (random_() % 2 == 0) object.name = AnyName();
    std::set<uint64_t> parts;
    for (uint64_t i = random_() % 4; i > 0; --i) {
      if (const uint64_t id = Any(false); id != 0) parts.insert(id);
    }
    if (const uint64_t blob = Any(true); blob != 0 && random_() % 3 == 0) parts.insert(blob);
    for (const uint64_t id : parts) {
      (ObjectId(id).is_blob() ? object.blobs : object.members).emplace_back(id);
    }
    ASSERT_OK_AND_ASSIGN(const auto answer, Put(object));
    const std::set<uint64_t> keep = parts;
    if (object.large) {
      const uint64_t blob = ObjectId(answer.id).own_blob().value();
      model_.things[blob] = {};
      parts.insert(blob);
    }
    model_.things[answer.id] = {parts, !object.name.empty()};
    if (!object.name.empty()) model_.SetName(object.name, answer.id, keep);
  }
  void PutBlob() {
    const std::string name = random_() % 2 == 0 ? AnyName() : std::string();
    ASSERT_OK_AND_ASSIGN(const auto answer, machine_.PutBlob(client_, "some bytes", name));
    model_.things[answer.id] = {{}, !name.empty()};
    if (!name.empty()) model_.SetName(name, answer.id, {});
  }
  void NameSomething() {
    const uint64_t id = Any(random_() % 4 == 0);
    if (id == 0) return;
    const std::string name = AnyName();
    ASSERT_OK(PutName(name, ObjectId(id)));
    model_.SetName(name, id, {id});
  }
  void DeleteSomething() {
    std::set<uint64_t> roots;
    for (uint64_t i = 1 + random_() % 2; i > 0; --i) {
      if (const uint64_t id = Any(random_() % 5 == 0); id != 0) roots.insert(id);
    }
    const bool deep = random_() % 4 != 0;
    const bool force = random_() % 4 == 0;
    const auto answer = Delete({roots.begin(), roots.end()}, {deep, force});
    ASSERT_EQ(answer.ok(), model_.Remove(roots, deep, force)) << answer.status().ToString();
  }
  void DropSomething() {
    const std::string name = AnyName();
    ASSERT_EQ(DropName(name).ok(), model_.DropName(name));
  }
  void LabelSomething() {
    const uint64_t id = Any(false);
    if (id == 0) return;
    ASSERT_OK(volume().SetLabels(machine_.NextRequest(client_), ObjectId(id),
                                 {{"k", std::string(random_() % 500, 'v')}}));
  }

  std::mt19937 random_{GetParam()};
  Model model_;
};

TEST_P(VolumeModel, DoesWhatTheArchitectureSaysAlsoAcrossRestarts) {
  for (int step = 0; step < 1500; ++step) {
    SCOPED_TRACE(step);
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5: PutSomething(); break;
      case 6: PutBlob(); break;
      case 7:
      case 8: NameSomething(); break;
      case 9:
      case 10:
      case 11: DeleteSomething(); break;
      case 12:
      case 13: DropSomething(); break;
      case 14: LabelSomething(); break;
      default:
        if (random_() % 4 == 0) {
          const RecoveryReport report = machine_.Restart();
          ASSERT_EQ(report.set_aside_count, 0u);
        } else {
          machine_.store().MoveSome();
        }
    }
    if (HasFatalFailure()) return;
    machine_.Run();
    model_.ExpectSame(volume());
    if (HasFatalFailure()) return;
    if (step % 50 == 0) machine_.CheckConsistent();
    if (HasFailure()) return;
  }
  // Everything can go, and then nothing is left.
  while (machine_.store().MoveSome()) machine_.Run();
  machine_.CheckConsistent();
  while (!volume().entries().empty()) {
    ASSERT_OK(Delete({volume().entries().begin()->first}, {.force = true}));
  }
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_LE(machine_.keeper().Count(HeldKind::kArena), 1u);
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, VolumeModel, ::testing::Range(0U, 8U));

}  // namespace
}  // namespace vineyard::store
