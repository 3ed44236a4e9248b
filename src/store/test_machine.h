// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: a keeper and a pool in memory, and a Machine that runs engines (stores) on them, one after
// another, as an instance does. Engines end as processes do: without saying anything to the keeper.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "os/fd.h"
#include "store/recovery.h"
#include "store/store.h"
#include "store/test_disk.h"

namespace vineyard::store {

/// Holds descriptors across engines.
class FakeKeeper {
 public:
  using Key = std::tuple<HeldKind, uint64_t, uint64_t>;

  /// One engine's connection; after Cut the keeper hears nothing of it any more.
  class Link final : public MemoryKeeper {
   public:
    Link(FakeKeeper& keeper, Events& events) : keeper_(&keeper), events_(events) {}
    void Hold(const HeldItem& item, const os::UniqueFd& fd) override;
    void HoldAndTell(const HeldItem& item, const os::UniqueFd& fd,
                     std::function<void()> held) override;
    void Drop(HeldKind kind, uint64_t a, uint64_t b, std::function<void()> dropped) override;
    void Cut() { keeper_ = nullptr; }

   private:
    FakeKeeper* keeper_;
    Events& events_;
  };

  /// What a new engine is given.
  [[nodiscard]] std::vector<HeldMemory> HandOver() const;
  [[nodiscard]] const std::map<Key, HeldMemory>& items() const { return items_; }
  [[nodiscard]] size_t Count(HeldKind kind) const;
  void Clear() { items_.clear(); }
  HeldMemory* Find(HeldKind kind, uint64_t a, uint64_t b);
  void Put(const HeldItem& item, os::UniqueFd fd);
  void Remove(HeldKind kind, uint64_t a, uint64_t b);

  /// In a forked child: what happens from now on goes to the parent's keeper too.
  void TellParent(os::UniqueFd socket) { parent_ = std::move(socket); }
  /// In the parent, after the child's end.
  void HearChild(const os::UniqueFd& socket);

 private:
  std::map<Key, HeldMemory> items_;
  os::UniqueFd parent_;
};

/// What a test puts.
struct TestObject {
  std::string bytes;  // the own buffer
  std::string name;
  std::vector<ObjectId> members;
  std::vector<ObjectId> blobs;  // of others; the first byte of each is a buffer
  bool large = false;           // in an extent
  std::optional<uint64_t> if_version;
  ObjectId stream;  // takes it as its next chunk
  std::optional<os::TimePoint> name_ends;
  std::optional<std::chrono::nanoseconds> linger;
  bool durable = false;
  bool keeps = false;
};

class Machine {
 public:
  static StoreOptions DefaultOptions();
  explicit Machine(const StoreOptions& options = DefaultOptions(), std::string spill_path = {});
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  Store& store() { return *store_; }
  Volume& volume() { return *store_->FindVolume(1); }
  FakeKeeper& keeper() { return keeper_; }
  /// REQUIRES: it spills.
  TestDisk& disk() { return *disk_; }
  /// Of all its engines.
  [[nodiscard]] uint64_t instance() const { return options_.instance[0]; }
  /// Of the next engine.
  void LimitDisk(uint64_t bytes) { spill_limit_ = bytes; }
  /// The next engine is of the generation after this.
  void SetGeneration(uint64_t generation) { options_.generation = generation; }
  /// Runs all that has been posted, and what that posts.
  void Run() { events_.Run(); }
  /// Runs one of these. False: there is none.
  bool Step() { return events_.Step(); }

  // ---- clients
  /// Of this process, unless `pidfd` is another one's. Known by its number, which is its key.
  uint64_t AddClient(os::UniqueFd pidfd = {});
  ClientState& client(uint64_t key) { return *store_->clients().Find(key); }
  Request NextRequest(uint64_t client) { return {&this->client(client), ++numbers_[client]}; }
  /// A pidfd of a process that has ended.
  static os::UniqueFd EndedProcess();

  // ---- what a client does
  /// What is durable is on the disk when these return OK.
  Status Secure(const Store::DurableNeeds& needs);
  Result<layout::Answer> AwaitDisk(Result<layout::Answer> answer);
  Result<layout::Answer> Put(uint64_t client, const TestObject& object);
  /// Reserves an extent and waits for it.
  Result<Extent*> Reserve(uint64_t client, uint64_t size, Volume* volume = nullptr);
  /// Fills the extent as its client, and seals it.
  static void FillAndSeal(const Extent& extent, std::string_view bytes);
  Result<layout::Answer> PutBlob(uint64_t client, const std::string& bytes,
                                 const std::string& name = {});
  /// What a reader finds by the index alone, through read-only mappings; nullopt: nothing.
  std::optional<layout::RecordCopy> Read(ObjectId id);
  std::optional<layout::RecordCopy> ReadName(std::string_view name);

  // ---- faults
  /// The engine is killed; the next one takes over.
  RecoveryReport Restart();
  /// Everything dies, the keeper too, and another instance begins in the same folder. No client is left.
  RecoveryReport ColdRestart();
  /// Only the first half: nobody serves. Then Restart.
  void Kill();
  /// The next engine begins to take over, and is killed before it serves.
  void RestartAndDie();
  /// `act` runs in a process of its own that dies at the crash point. False: it never passed it (its
  /// changes have happened all the same). No engine is left.
  bool CrashIn(const std::string& point, const std::function<void()>& act);

  /// Fails the test where index, records, counts and usage of a volume contradict each other.
  void CheckConsistent(Volume& volume);
  void CheckConsistent() { CheckConsistent(volume()); }

 private:
  RecoveryReport Start(bool serve);
  std::optional<layout::RecordCopy> Lookup(uint64_t key,
                                           const std::function<bool(const layout::RecordCopy&)>&);

  static inline uint64_t instances_ = 0;
  StoreOptions options_;
  Events events_;
  FakeKeeper keeper_;
  std::string spill_path_;
  uint64_t spill_limit_ = std::numeric_limits<uint64_t>::max();
  std::unique_ptr<FakeKeeper::Link> link_;
  std::unique_ptr<TestDisk> disk_;
  std::unique_ptr<Store> store_;
  std::map<uint64_t, uint64_t> numbers_;  // client → its last request
};

}  // namespace vineyard::store
