// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Corpus: the folder that fuzzers' first inputs are written to, and who writes which.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace vineyard::fuzz {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void Add(const std::string& fuzzer, std::span<const std::byte> bytes);
  void Add(const std::string& fuzzer, std::string_view bytes) {
    Add(fuzzer, std::as_bytes(std::span(bytes)));
  }
  [[nodiscard]] int count() const { return count_; }

 private:
  std::filesystem::path folder_;
  int count_ = 0;
};

/// Every message there is, with every field, in frames; and descriptors.
void AddMessages(Corpus& corpus);
/// What lies in shared memory and in spill files.
void AddMemory(Corpus& corpus);
/// Stored values of every type.
void AddValues(Corpus& corpus);
/// Configurations, sizes, patterns.
void AddTexts(Corpus& corpus);

}  // namespace vineyard::fuzz
