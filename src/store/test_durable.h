// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of what is durable: a store that spills, durable requests that are waited for, and cold starts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/test_spilling.h"

namespace vineyard::store {

class DurableTest : public SpillingTest {
 protected:
  /// Its id. What is `large` lies in an extent.
  ObjectId PutDurable(TestObject object) {
    object.durable = true;
    auto answer = machine_->Put(client_, object);
    EXPECT_OK(answer);
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  Result<layout::Answer> NameDurably(std::string_view name, ObjectId id,
                                     Volume::Naming naming = {}) {
    const uint64_t ids[] = {id.value()};
    VY_ASSIGN_OR_RETURN(Store::DurableNeeds needs, store().NeedsOf(volume(), ids));
    needs.room += Mirror::FileLengthOf(name.size(), 0);
    VY_RETURN_IF_ERROR(machine_->Secure(needs));
    naming.durable = true;
    return machine_->AwaitDisk(volume().PutName(machine_->NextRequest(client_), name, id, naming));
  }
  Result<layout::Answer> MakeDurable(std::vector<uint64_t> ids) {
    VY_ASSIGN_OR_RETURN(const Store::DurableNeeds needs, store().NeedsOf(volume(), ids));
    VY_RETURN_IF_ERROR(machine_->Secure(needs));
    return machine_->AwaitDisk(volume().MakeDurable(machine_->NextRequest(client_), ids));
  }
  Result<layout::Answer> Drop(std::string_view name) {
    return machine_->AwaitDisk(volume().DropName(machine_->NextRequest(client_), name, {}));
  }
  Result<layout::Answer> DeleteNow(ObjectId id) {
    const uint64_t ids[] = {id.value()};
    return machine_->AwaitDisk(volume().Delete(machine_->NextRequest(client_), ids, true, true));
  }
  RecoveryReport ColdStart() {
    RecoveryReport report = machine_->ColdRestart();
    client_ = machine_->AddClient();
    Run();
    machine_->CheckConsistent();
    return report;
  }
  bool Exists(ObjectId id) { return volume().Find(id) != nullptr; }
  std::string SmallBytes(ObjectId id) {
    const auto record = machine_->Read(id);
    if (!record) return "nothing";
    return {reinterpret_cast<const char*>(record->bytes().data()), record->bytes().size()};
  }
  /// Of a kind; 0: all.
  size_t Count(uint8_t kind) {
    size_t count = 0;
    for (const spill::Key& key : machine_->disk().Keys())
      count += kind == 0 || key.kind == kind ? 1 : 0;
    return count;
  }
  static std::string PathOf(const std::string& folder, const spill::Key& key) {
    return folder + "/instance/" + spill::FileName(key);
  }
  /// Its volume's file is on the disk, and it is open.
  Volume* AddVolume(uint64_t id, const std::string& name, CatalogSpec spec = {}) {
    Status kept = Status::Internal("no answer");
    store().KeepVolume(id,
                       {.name = name,
                        .quota = spec.quota,
                        .guaranteed = spec.guaranteed,
                        .hash_seed = 9,
                        .sockets = {}},
                       [&](Status s) { kept = std::move(s); });
    Run();
    EXPECT_OK(kept);
    spec.volume = id;
    spec.name = name;
    spec.hash_seed = 9;
    spec.durable = true;
    EXPECT_OK(store().CreateVolume(spec, [](const Result<Volume*>& made) { EXPECT_OK(made); }));
    Run();
    return store().FindVolume(id);
  }
};

}  // namespace vineyard::store
