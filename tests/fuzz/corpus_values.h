// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Stored values as inputs: whole ones, and of each what is a little off.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "corpus.h"

namespace vineyard::fuzz {

/// Metadata, and the buffers' bytes.
struct StoredValue {
  nlohmann::json metadata;
  std::vector<std::string> buffers{};
};

/// The value of metadata that are given as text, short of the braces and of the version.
StoredValue ValueOf(const std::string& keys, std::vector<std::string> buffers = {});
/// The value, as it is read from memory that is aligned, and from memory that is not.
void AddValue(Corpus& corpus, const StoredValue& value);
/// The value; the value without each key and each item of a list, and with something else in each place;
/// and with each buffer shorter, and of other bytes.
void AddWithDamage(Corpus& corpus, const StoredValue& value);

/// Arrays and tables of every Arrow type.
void AddArrow(Corpus& corpus);
/// Frames and series of pandas.
void AddPandas(Corpus& corpus);

}  // namespace vineyard::fuzz
