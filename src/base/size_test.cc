// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/size.h"

#include <limits>

#include <gtest/gtest.h>

namespace vineyard {
namespace {

constexpr uint64_t kKi = 1024;
constexpr uint64_t kMi = kKi * 1024;
constexpr uint64_t kGi = kMi * 1024;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(ParseSize, JunkIsRefusedAndTheMessageShowsIt) {
  for (const char* text : {"",    " ",     "x",      "-1",  "+1",   "Gi",    ".",     ".5G",
                           "1.G", "1..5G", "1.5.5G", "8Gx", "8Gix", "8GiBB", "8 G i", "8BB",
                           "8i",  "8iB",   "0x10",   "1e9", "8Gi,", "nan",   "inf"}) {
    const Result<uint64_t> size = ParseSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(size.status().code(), StatusCode::kInvalid) << text;
    EXPECT_NE(size.status().message().find(std::string("'") + text + "'"), std::string::npos);
    EXPECT_NE(size.status().message().find("8Gi"), std::string::npos) << "says how to mend it";
  }
}

TEST(ParseSize, OverflowIsAnErrorAndNeverWraps) {
  for (const char* text : {"18446744073709551616", "16Ei", "16384Pi", "18.5E",
                           "99999999999999999999999", "18446744073709551615K"}) {
    const Result<uint64_t> size = ParseSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_NE(size.status().message().find("too large"), std::string::npos) << text;
  }
  EXPECT_EQ(ParseSize("18446744073709551615").value(), kMax);
  EXPECT_EQ(ParseSize("15Ei").value(), uint64_t{15} << 60);
}

TEST(ParseSize, AShareNeedsATotal) {
  EXPECT_EQ(ParseSize("50%").status().code(), StatusCode::kInvalid);
}

TEST(ParseSize, PlainNumbersAreBytes) {
  EXPECT_EQ(ParseSize("0").value(), 0u);
  EXPECT_EQ(ParseSize("512").value(), 512u);
  EXPECT_EQ(ParseSize("512B").value(), 512u);
}

TEST(ParseSize, UnitsAreThoseOfKubernetes) {
  EXPECT_EQ(ParseSize("64Mi").value(), 64 * kMi);
  EXPECT_EQ(ParseSize("8Gi").value(), 8 * kGi);
  EXPECT_EQ(ParseSize("8GiB").value(), 8 * kGi);
  EXPECT_EQ(ParseSize("4GB").value(), 4'000'000'000u);
  EXPECT_EQ(ParseSize("4g").value(), 4'000'000'000u);
  EXPECT_EQ(ParseSize(" 2 mib ").value(), 2 * kMi);
}

TEST(ParseSize, FractionsAreExact) {
  EXPECT_EQ(ParseSize("1.5G").value(), 1'500'000'000u);
  EXPECT_EQ(ParseSize("0.5Ki").value(), 512u);
  EXPECT_EQ(ParseSize("1.9").value(), 1u) << "there is no part of a byte";
  EXPECT_EQ(ParseSize("0.33333333333333333333333333333333K").value(), 333u);
  EXPECT_EQ(ParseSize("9.007199254740993P").value(), 9'007'199'254'740'993u) << "2^53 + 1";
}

TEST(ParseSizeOrShare, MoreThanAllAndJunkAreRefused) {
  for (const char* text : {"101%", "100.01%", "%", "-5%", "5%%", "5Gi%", "18446744073709551615%"}) {
    EXPECT_EQ(ParseSizeOrShare(text, kGi).status().code(), StatusCode::kInvalid) << text;
  }
}

TEST(ParseSizeOrShare, SharesAreOfTheTotal) {
  EXPECT_EQ(ParseSizeOrShare("50%", 8 * kGi).value(), 4 * kGi);
  EXPECT_EQ(ParseSizeOrShare("12.5 %", 8 * kGi).value(), kGi);
  EXPECT_EQ(ParseSizeOrShare("100%", kMax).value(), kMax);
  EXPECT_EQ(ParseSizeOrShare("0%", kGi).value(), 0u);
  EXPECT_EQ(ParseSizeOrShare("2Gi", kGi).value(), 2 * kGi) << "a size is taken as it is";
}

TEST(FormatSize, OneDigitIsEnoughForPeople) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(1023), "1023 B");
  EXPECT_EQ(FormatSize(kKi), "1 KiB");
  EXPECT_EQ(FormatSize(kGi + kGi / 2), "1.5 GiB");
  EXPECT_EQ(FormatSize(kGi - 1), "1023.9 MiB") << "rounded down: never more than there is";
  EXPECT_EQ(FormatSize(kMax), "15.9 EiB");
}

TEST(FormatSize, WhatItWritesCanBeReadAgain) {
  for (const uint64_t bytes : {uint64_t{1}, 3 * kKi, 64 * kMi, 8 * kGi, uint64_t{3} << 60}) {
    EXPECT_EQ(ParseSize(FormatSize(bytes)).value(), bytes);
  }
}

}  // namespace
}  // namespace vineyard
