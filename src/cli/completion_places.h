// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The tree of commands as completion sees it: which words and options may stand where.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/App.hpp>

namespace vineyard::cli {

/// What an option takes.
enum class Value : uint8_t { kNone, kWords, kFile, kFolder, kOther };

struct Entry {
  std::vector<std::string> names;  ///< "--output" and "-o", or a noun and its other names
  std::string description;
  Value value = Value::kNone;
  std::vector<std::string> words;  ///< with kWords
};

/// One place in the tree: what may stand there.
struct Place {
  std::string path;  ///< "object ls"; empty for the root, whose options stand everywhere
  std::vector<Entry> children;
  std::vector<Entry> options;
  std::vector<std::string> words;  ///< that arguments are chosen from
};

/// One for each noun and verb; the root is the first.
std::vector<Place> PlacesOf(const CLI::App& root);

}  // namespace vineyard::cli
