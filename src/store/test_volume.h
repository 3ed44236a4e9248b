// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of a volume: one of a Machine, and a client that changes it. At the test's end the volume
// must be consistent.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_machine.h"
#include "store/volume.h"

namespace vineyard::store {

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
    return volume().PutName(machine_.NextRequest(client_), name, id, {.if_version = if_version});
  }
  Result<layout::Answer> PutOwningName(std::string_view name, ObjectId id) {
    return volume().PutName(machine_.NextRequest(client_), name, id, {.owns = true});
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

}  // namespace vineyard::store
