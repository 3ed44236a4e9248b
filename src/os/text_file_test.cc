// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/text_file.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace vineyard::os {
namespace {

TEST(TextFile, WhatIsNoShortTextFileIsRefusedWithItsPath) {
  const auto absent = ReadTextFile("/nowhere/at all");
  EXPECT_EQ(absent.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(absent.status().message(), "cannot read /nowhere/at all: No such file or directory");
  EXPECT_EQ(ReadTextFile("/proc").status().code(), StatusCode::kInvalid);
  EXPECT_EQ(ReadTextFile("/dev/zero").status().code(), StatusCode::kInvalid) << "it has no end";
}

TEST(TextFile, AllOfTheFileIsRead) {
  const std::string path = testing::TempDir() + "/vineyard_text_file_test";
  const std::string text(10000, 'x');
  std::ofstream(path) << text;
  EXPECT_EQ(ReadTextFile(path).value(), text);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace vineyard::os
