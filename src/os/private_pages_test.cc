// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/private_pages.h"

#include <sys/mman.h>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"

namespace vineyard::os {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

struct Way {
  Result<uint64_t> (*count)(const std::byte*, uint64_t);
  const char* name;
};

class PrivatePages : public ::testing::TestWithParam<Way> {
 protected:
  PrivatePages() {
    EXPECT_OK(mapping_.MakePrivate(std::span(&part_, 1)));
    ::madvise(mapping_.data(), mapping_.size(), MADV_NOHUGEPAGE);
  }
  uint64_t Count(uint64_t offset, uint64_t length) {
    auto count = GetParam().count(mapping_.data() + offset, length);
    EXPECT_OK(count);
    return count.ok() ? *count : UINT64_MAX;
  }
  uint64_t CountAll() { return Count(0, mapping_.size()); }

  UniqueFd fd_ = CreateMemfd("test", 4 * kMiB).value();
  FilePart part_{fd_.get(), 4 * kMiB};
  Mapping mapping_ = Mapping::Open(fd_, 4 * kMiB, Access::kReadWrite).value();
};

TEST_P(PrivatePages, WhatNobodyHasTouchedIsTheFiles) {
  EXPECT_EQ(CountAll(), 0U);
  EXPECT_EQ(Count(7, 0), 0U);
}

TEST_P(PrivatePages, ReadingMakesNoPageOnesOwn) {
  volatile std::byte sum{};
  for (size_t i = 0; i < mapping_.size(); i += 512) sum = mapping_.data()[i];
  (void)sum;
  EXPECT_EQ(CountAll(), 0U);
}

TEST_P(PrivatePages, WritingDoes) {
  mapping_.data()[3 * kMiB + 5] = std::byte{1};
  EXPECT_EQ(CountAll(), PageSize());
  EXPECT_EQ(Count(0, 3 * kMiB), 0U);
  EXPECT_EQ(Count(3 * kMiB + 100, 1), PageSize());
  EXPECT_EQ(Count(3 * kMiB - 1, 2), PageSize());
  EXPECT_EQ(Count(3 * kMiB + PageSize(), kMiB - PageSize()), 0U);
}

TEST_P(PrivatePages, OftenAndFarApart) {
  for (size_t i = 0; i < 400; ++i) mapping_.data()[i * 2 * PageSize()] = std::byte{1};
  EXPECT_EQ(CountAll(), 400 * PageSize());
  mapping_.bytes()[1] = std::byte{1};
  EXPECT_EQ(CountAll(), 400 * PageSize());
}

INSTANTIATE_TEST_SUITE_P(Ways, PrivatePages,
                         ::testing::Values(Way{&PrivateBytesIn, "Best"},
                                           Way{&PrivateBytesByPagemap, "Pagemap"}),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace vineyard::os
