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
  struct Queue {
    std::vector<uint64_t> chunks;  // all there ever were
    uint64_t first = 0;            // those before are gone
    uint64_t capacity = 1;
    uint64_t wanted = 1;
    uint64_t come = 0;
    std::map<uint64_t, uint64_t> readers;  // number → position

    [[nodiscard]] std::set<uint64_t> Waiting() const {
      return {chunks.begin() + static_cast<std::ptrdiff_t>(first), chunks.end()};
    }
    [[nodiscard]] bool TakesMore() const {
      return chunks.size() - first < capacity && (come < wanted || !readers.empty());
    }
  };
  std::map<uint64_t, Queue> streams;  // by their objects

  [[nodiscard]] bool IsNamed(uint64_t id) const {
    return std::ranges::any_of(names, [&](const auto& n) { return n.second.id == id; });
  }
  [[nodiscard]] std::set<uint64_t> Wholes(uint64_t id) const {
    std::set<uint64_t> wholes;
    for (const auto& [other, thing] : things) {
      if (thing.parts.contains(id)) wholes.insert(other);
    }
    for (const auto& [stream, queue] : streams) {
      if (queue.Waiting().contains(id)) wholes.insert(stream);
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
        std::set<uint64_t> parts = things.at(id).parts;
        if (streams.contains(id)) {
          for (const uint64_t chunk : streams.at(id).Waiting()) {
            if (things.contains(chunk) && things.at(chunk).owned) parts.insert(chunk);
          }
        }
        for (const uint64_t part : parts) {
          const bool own = part == ObjectId(id).own_blob().value();
          if (!(deep || own) || IsNamed(part) || keep.contains(part)) continue;
          if (std::ranges::includes(doomed, Wholes(part))) changed |= doomed.insert(part).second;
        }
      }
    }
    for (const uint64_t id : doomed) {
      things.erase(id);
      streams.erase(id);
    }
    std::erase_if(names, [&](const auto& n) { return doomed.contains(n.second.id); });
    return true;
  }
  // The chunks that nobody is to read any more are the stream's no longer.
  void Pass(uint64_t stream) {
    Queue& queue = streams.at(stream);
    uint64_t keep_from = queue.come < queue.wanted ? queue.first : queue.chunks.size();
    for (const auto& [number, position] : queue.readers) {
      keep_from = std::min(keep_from, position);
    }
    const std::set<uint64_t> before = queue.Waiting();
    queue.first = keep_from;
    Release(before, stream);
  }
  void Release(const std::set<uint64_t>& chunks, uint64_t stream) {
    std::set<uint64_t> going;
    for (const uint64_t id : chunks) {
      if (things.contains(id) && things[id].owned && !IsNamed(id) && Wholes(id).empty()) {
        going.insert(id);
      }
    }
    Remove(going, true, false, {stream});
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
    for (const auto& [id, queue] : streams) {
      const Stream* stream = volume.FindStream(ObjectId(id));
      ASSERT_NE(stream, nullptr);
      ASSERT_EQ(stream->state.first, queue.first);
      ASSERT_EQ(stream->state.end(), queue.chunks.size());
    }
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

  // 0: none
  uint64_t AnyStream() {
    if (model_.streams.empty()) return 0;
    const auto skip = static_cast<std::ptrdiff_t>(random_() % model_.streams.size());
    return std::next(model_.streams.begin(), skip)->first;
  }
  void MakeStream() {
    const uint64_t id = Any(false);
    if (id == 0 || model_.streams.contains(id)) return;
    Model::Queue queue;
    queue.capacity = 1 + random_() % 4;
    queue.wanted = 1 + random_() % 2;
    ASSERT_OK(volume().CreateStream(machine_.NextRequest(client_), ObjectId(id),
                                    static_cast<uint32_t>(queue.capacity),
                                    static_cast<uint32_t>(queue.wanted)));
    ASSERT_OK(volume().OpenStream(machine_.NextRequest(client_), ObjectId(id), true));
    model_.streams[id] = queue;
  }
  void PutChunk(uint64_t stream) {
    Model::Queue& queue = model_.streams.at(stream);
    const bool fits = queue.TakesMore();
    if (random_() % 2 == 0) {
      const uint64_t id = Any(random_() % 4 == 0);
      const bool owns = random_() % 2 == 0;
      const auto pushed =
          volume().PushChunk(machine_.NextRequest(client_), ObjectId(stream), ObjectId(id), owns);
      ASSERT_EQ(pushed.ok(), fits && id != stream && model_.things.contains(id));
      if (!pushed.ok()) return;
      queue.chunks.push_back(id);
      model_.things[id].owned |= owns;
      return;
    }
    TestObject object{.bytes = "chunk", .stream = ObjectId(stream)};
    std::set<uint64_t> parts;
    if (const uint64_t part = Any(false); part != 0 && random_() % 2 == 0) {
      parts.insert(part);
      object.members.emplace_back(part);
    }
    const auto put = Put(object);
    ASSERT_EQ(put.ok(), fits);
    if (!put.ok()) return;
    model_.things[put->id] = {parts, true};
    queue.chunks.push_back(put->id);
  }
  void ReadOn(uint64_t stream) {
    Model::Queue& queue = model_.streams.at(stream);
    if (queue.readers.empty() || random_() % 8 == 0) {
      ASSERT_OK_AND_ASSIGN(const auto opened, volume().OpenStream(machine_.NextRequest(client_),
                                                                  ObjectId(stream), false));
      ASSERT_EQ(opened.value, queue.first);
      queue.readers[opened.id] = queue.first;
      ++queue.come;
      return;
    }
    auto& [number, position] = *queue.readers.begin();
    if (random_() % 8 == 0) {
      ASSERT_OK(volume().LeaveStream(machine_.NextRequest(client_), ObjectId(stream), number));
      queue.readers.erase(queue.readers.begin());
    } else {
      position += random_() % (queue.chunks.size() - position + 1);
      ASSERT_OK(volume().AdvanceReader(ObjectId(stream), number, client_, position));
    }
    model_.Pass(stream);
  }
  void UseStream() {
    const uint64_t stream = AnyStream();
    if (stream == 0 || random_() % 8 == 0) return MakeStream();
    if (random_() % 32 == 0) {
      ASSERT_OK(volume().DropStream(machine_.NextRequest(client_), ObjectId(stream)));
      const std::set<uint64_t> waiting = model_.streams.at(stream).Waiting();
      model_.streams.erase(stream);
      model_.Release(waiting, stream);
    } else if (random_() % 2 == 0) {
      PutChunk(stream);
    } else {
      ReadOn(stream);
    }
  }

  std::mt19937 random_{GetParam()};
  Model model_;
};

TEST_P(VolumeModel, DoesWhatTheArchitectureSaysAlsoAcrossRestarts) {
  for (int step = 0; step < 1500; ++step) {
    SCOPED_TRACE(step);
    switch (random_() % 20) {
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
      case 15:
      case 16:
      case 17:
      case 18: UseStream(); break;
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
