// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A volume against a model of it: random changes, across restarts.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_volume.h"

namespace vineyard::store {
namespace {

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
