// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Writes what the fuzzers begin with: one well-formed input of each kind, and some that are not.
// Usage: make_corpus FOLDER; each fuzzer's inputs go to FOLDER/NAME.
#include <cstdio>
#include <fstream>

#include "corpus.h"

namespace vineyard::fuzz {

void Corpus::Add(const std::string& fuzzer, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(folder_ / fuzzer);
  std::ofstream out(folder_ / fuzzer / ("seed" + std::to_string(++count_)), std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

}  // namespace vineyard::fuzz

int main(int argc, char** argv) {
  using namespace vineyard::fuzz;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  Corpus corpus(argv[1]);
  AddMessages(corpus);
  AddMemory(corpus);
  AddValues(corpus);
  AddTexts(corpus);
  std::printf("%d inputs in %s\n", corpus.count(), argv[1]);
  return 0;
}
