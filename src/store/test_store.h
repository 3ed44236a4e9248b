// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of a whole store: that of a Machine, and a client that reserves memory in it. At the test's
// end the store must be consistent.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/store.h"
#include "store/test_machine.h"

namespace vineyard::store {

constexpr uint64_t kMi = uint64_t{1} << 20;
constexpr auto kNever = os::TimePoint::max();

class StoreTest : public ::testing::Test {
 protected:
  Store& store() { return machine_.store(); }
  Volume* AddVolume(uint64_t id, const std::string& name, uint64_t quota) {
    EXPECT_OK(store().CreateVolume({.volume = id, .name = name, .quota = quota, .hash_seed = 3},
                                   [](Result<Volume*> made) { EXPECT_OK(made); }));
    machine_.Run();
    return store().FindVolume(id);
  }
  void TearDown() override {
    machine_.Run();
    machine_.CheckConsistent();
  }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

/// What came of a reservation. REQUIRES: lives until the callback has been called.
struct Waited {
  int calls = 0;
  Status status = Status::Internal("no answer");
  Extent* extent = nullptr;
  std::function<void(Result<Extent*>)> Callback() {
    return [this](Result<Extent*> r) {
      ++calls;
      status = r.status();
      extent = r.ok() ? *r : nullptr;
    };
  }
};

}  // namespace vineyard::store
