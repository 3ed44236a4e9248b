// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a client keeps mapped for the next get, and when it lets go.
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Bell;
using testing::Child;
using testing::Eventually;
using testing::HoldsPattern;
using testing::PutPattern;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

/// Extents and parts of them that this process has mapped.
size_t MappedExtents() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("r--s") != std::string::npos && line.find("vineyard-chunk") != std::string::npos)
      ++count;
  }
  return count;
}

class MappingCache : public ::testing::Test {
 protected:
  MappingCache()
      : daemon_({.size = "64Mi"}), client_(daemon_.Connect()), writer_(daemon_.Connect()) {}
  uint64_t Lingering() { return writer_.GetStatus()->memory_lingering; }
  TestDaemon daemon_;
  Client client_;
  Client writer_;
};

TEST_F(MappingCache, AGetAgainFindsTheMappingOfTheLast) {
  auto id = PutPattern(writer_, 1, 20 * kMiB);
  ASSERT_OK(id);
  const std::byte* first = client_.Get(*id)->buffers()[0].data();
  EXPECT_EQ(client_.Get(*id)->buffers()[0].data(), first);
  EXPECT_TRUE(HoldsPattern(client_.Get(*id), 1, 20 * kMiB));
}

TEST_F(MappingCache, WhatAnotherClientHasDeletedIsNotFoundThoughItIsMapped) {
  auto id = PutPattern(writer_, 1, kMiB);
  ASSERT_OK(id);
  ASSERT_OK(client_.Get(*id));
  ASSERT_OK(writer_.Delete({*id}));
  EXPECT_CODE(kNotFound, client_.Get(*id));
  EXPECT_CODE(kNotFound, client_.GetBlob(id->own_blob()));
}

TEST_F(MappingCache, TheMemoryOfADeletedObjectComesBackWithoutACallOfItsLastReader) {
  for (uint64_t i = 0; i < 5; ++i) {
    auto id = PutPattern(writer_, i, 40 * kMiB);  // waits for that of the round before
    ASSERT_OK(id);
    EXPECT_TRUE(HoldsPattern(client_.Get(*id), i, 40 * kMiB));
    ASSERT_OK(writer_.Delete({*id}));
  }
  EXPECT_TRUE(Eventually([&] { return Lingering() == 0; }));
}

TEST_F(MappingCache, AForkedChildInheritsNoIdleMapping) {
  auto id = PutPattern(writer_, 1, 40 * kMiB);
  ASSERT_OK(id);
  ASSERT_OK(client_.Get(*id));
  Child child([&] {
    ::pause();
    return 0;
  });
  ASSERT_OK(writer_.Delete({*id}));
  EXPECT_TRUE(Eventually([&] { return Lingering() == 0; }));
  EXPECT_OK(PutPattern(writer_, 2, 40 * kMiB));
}

TEST_F(MappingCache, AChildForkedAfterGetsMapsAndForksOnItsOwn) {
  auto id = PutPattern(writer_, 1, kMiB);
  ASSERT_OK(id);
  ASSERT_OK(client_.Get(*id));
  Child child([&] {
    if (!HoldsPattern(client_.Get(*id), 1, kMiB)) return 1;
    Child grandchild([&] { return HoldsPattern(client_.Get(*id), 1, kMiB) ? 0 : 2; });
    return grandchild.Wait();
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(MappingCache, WhatNobodyAsksForAnyMoreIsUnmapped) {
  auto id = PutPattern(writer_, 1, kMiB);
  ASSERT_OK(id);
  ASSERT_OK(client_.Get(*id));
  EXPECT_GE(MappedExtents(), 1U);
  EXPECT_TRUE(Eventually([&] { return MappedExtents() == 0; }));
  EXPECT_TRUE(HoldsPattern(client_.Get(*id), 1, kMiB));
}

TEST_F(MappingCache, ClosingTheClientUnmapsWhatIsIdle) {
  auto id = PutPattern(writer_, 1, kMiB);
  ASSERT_OK(id);
  Client reader = daemon_.Connect();
  auto held = reader.Get(*id);
  ASSERT_OK(held);
  reader.Close();
  EXPECT_TRUE(HoldsPattern(held, 1, kMiB));
  held = Status::Internal("dropped");
  EXPECT_EQ(MappedExtents(), 0U);
}

// Getting, deleting, forking and closing at once: nobody gets wrong bytes, and all memory comes back.
TEST_F(MappingCache, ThreadsThatGetWhileOthersDeleteForkAndCloseGetTheirBytes) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  Client shared = daemon_.Connect();
  const auto read = [&](Client& client) {
    while (!stop) {
      const auto name = client.GetName("now");
      if (!name.ok()) continue;
      const auto object = client.Get(name->id);
      if (!object.ok()) continue;  // deleted meanwhile, or closed
      EXPECT_TRUE(HoldsPattern(object, 0, kMiB) || HoldsPattern(object, 1, kMiB));
    }
  };
  ASSERT_OK(PutPattern(writer_, 0, kMiB, "now"));
  readers.reserve(4);
  for (int i = 0; i < 2; ++i) readers.emplace_back([&] { read(client_); });
  for (int i = 0; i < 2; ++i) readers.emplace_back([&] { read(shared); });
  for (uint64_t i = 1; i <= 60; ++i) {
    ASSERT_OK(PutPattern(writer_, i % 2, kMiB, "now"));
    if (i % 20 == 0) {
      Child child([&] { return client_.Get("now").ok() ? 0 : 1; });
      EXPECT_EQ(child.Wait(), 0);
    }
    if (i == 40) shared.Close();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_TRUE(Eventually([&] { return Lingering() == 0; }));
}

}  // namespace
}  // namespace vineyard
