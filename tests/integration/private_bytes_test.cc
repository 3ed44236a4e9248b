// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Stored bytes that a program writes to: only it sees what it has written.
#include <algorithm>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Child;
using testing::Eventually;
using testing::HoldsPattern;
using testing::IsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::kTwoChunks;
using testing::Pattern;
using testing::PutPattern;
using testing::TestDaemon;

class Private : public ::testing::Test {
 protected:
  PrivateBytes Map(const Blob& blob) {
    auto mapped = MapPrivate(std::span(&blob, 1));
    EXPECT_OK(mapped);
    return mapped.ok() ? mapped->front() : PrivateBytes();
  }

  TestDaemon daemon_{};
  Client client_ = daemon_.Connect();
};

TEST_F(Private, WhatIsWrittenNobodyElseSees) {
  for (const size_t size : {size_t{0}, kSmall, kLarge, kTwoChunks}) {
    auto id = PutPattern(client_, size, size);
    ASSERT_OK(id);
    auto object = client_.Get(*id);
    ASSERT_OK(object);
    const PrivateBytes first = Map(object->buffers()[0]);
    const PrivateBytes second = Map(object->buffers()[0]);
    ASSERT_EQ(first.bytes.size(), size);
    EXPECT_TRUE(IsPattern(first.bytes, size));
    std::ranges::fill(first.bytes, std::byte{7});
    EXPECT_TRUE(IsPattern(second.bytes, size)) << size;
    EXPECT_TRUE(IsPattern(object->buffers()[0].bytes(), size)) << size;
    EXPECT_TRUE(HoldsPattern(daemon_.Connect().Get(*id), size, size)) << size;
  }
}

TEST_F(Private, BuffersOfOneExtentShareAMappingAndSlicesKeepTheirPlace) {
  const auto bytes = Pattern(3, kTwoChunks);
  auto id = client_.Put(ObjectBuilder("two").AddBuffer(bytes).AddBuffer(bytes));
  ASSERT_OK(id);
  auto object = client_.Get(*id);
  ASSERT_OK(object);
  const std::vector<Blob> blobs{object->buffers()[0], object->buffers()[1],
                                object->buffers()[1].Slice(100, 50)};
  auto mapped = MapPrivate(blobs);
  ASSERT_OK(mapped);
  EXPECT_EQ((*mapped)[0].keep_alive, (*mapped)[2].keep_alive);
  EXPECT_EQ((*mapped)[2].bytes.data(), (*mapped)[1].bytes.data() + 100);
  EXPECT_TRUE(std::ranges::equal((*mapped)[2].bytes, std::span(bytes).subspan(100, 50)));
  (*mapped)[1].bytes[100] = std::byte{1};
  EXPECT_EQ((*mapped)[2].bytes[0], std::byte{1});
}

TEST_F(Private, WorksAfterTheObjectIsDeletedAndTheClientClosed) {
  auto id = PutPattern(client_, 4, kTwoChunks);
  ASSERT_OK(id);
  Client other = daemon_.Connect();
  auto object = other.Get(*id);
  ASSERT_OK(object);
  ASSERT_OK(client_.Delete({*id}));
  const PrivateBytes deleted = Map(object->buffers()[0]);
  EXPECT_TRUE(IsPattern(deleted.bytes, 4));
  deleted.bytes[0] = std::byte{1};
  other.Close();
  const PrivateBytes closed = Map(object->buffers()[0]);
  EXPECT_TRUE(IsPattern(closed.bytes, 4));
  daemon_.Stop();
  EXPECT_TRUE(IsPattern(Map(object->buffers()[0]).bytes, 4));
}

TEST_F(Private, AForkedChildHasItsOwn) {
  auto id = PutPattern(client_, 5, kTwoChunks);
  ASSERT_OK(id);
  auto object = client_.Get(*id);
  ASSERT_OK(object);
  const PrivateBytes mine = Map(object->buffers()[0]);
  Child child([&] {
    mine.bytes[0] = std::byte{0xff};
    const PrivateBytes fresh = Map(object->buffers()[0]);
    return IsPattern(fresh.bytes, 5) ? 0 : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(IsPattern(mine.bytes, 5));
}

TEST_F(Private, ItsMemoryIsFreeOnceItIsUnmapped) {
  auto id = PutPattern(client_, 6, kTwoChunks);
  ASSERT_OK(id);
  PrivateBytes mine;
  {
    auto object = client_.Get(*id);
    ASSERT_OK(object);
    mine = Map(object->buffers()[0]);
  }
  ASSERT_OK(client_.Delete({*id}));
  EXPECT_GT(client_.GetStatus()->memory_lingering, 0U);
  EXPECT_TRUE(IsPattern(mine.bytes, 6));
  mine = {};
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->memory_lingering == 0; }));
}

}  // namespace
}  // namespace vineyard
