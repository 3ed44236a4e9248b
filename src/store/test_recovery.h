// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of recovery: a Machine whose engines end and take over, a client, and ways to damage what the
// keeper holds between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "layout/catalog.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "store/test_machine.h"

namespace vineyard::store {

constexpr uint64_t kMi = uint64_t{1} << 20;

class RecoveryTest : public ::testing::Test {
 protected:
  Store& store() { return machine_.store(); }
  Volume& volume() { return machine_.volume(); }
  FakeKeeper& keeper() { return machine_.keeper(); }
  ObjectId Put(const TestObject& object) {
    auto answer = machine_.Put(client_, object);
    EXPECT_OK(answer);
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  bool Exists(ObjectId id) { return volume().Find(id) != nullptr; }
  uint64_t Delete(ObjectId id) {
    auto answer =
        volume().Delete(machine_.NextRequest(client_), std::vector{id.value()}, true, true);
    EXPECT_OK(answer);
    return answer.ok() ? answer->value : 0;
  }
  /// What a client says when it comes back: it holds none of what it had reserved.
  void ClaimNothing() {
    const auto known = machine_.client(client_).reservations;
    for (const uint64_t blob : known) store().FreeExtent(ObjectId(blob));
    machine_.Run();
  }
  /// Replaces memory that the keeper holds by a copy that is changed; sealed memory can't be.
  void Change(HeldKind kind, uint64_t a, uint64_t b,
              const std::function<void(std::span<std::byte>)>& how) {
    HeldMemory* held = keeper().Find(kind, a, b);
    ASSERT_NE(held, nullptr);
    const uint64_t size = os::FileSize(held->fd).value();
    const auto old = os::Mapping::Open(held->fd, size, os::Access::kRead).value();
    os::UniqueFd copy = os::CreateMemfd("recovery_test", size).value();
    const auto fresh = os::Mapping::Open(copy, size, os::Access::kReadWrite).value();
    std::memcpy(fresh.data(), old.data(), size);
    how(fresh.bytes());
    held->fd = std::move(copy);
  }
  layout::CatalogHeader& HeaderIn(std::span<std::byte> bytes) {
    return *reinterpret_cast<layout::CatalogHeader*>(bytes.data());
  }
  uint64_t CatalogKey() { return store().options().generation << 32; }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

}  // namespace vineyard::store
