// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// "Did you mean …?": the known word nearest to one that is not known.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace vineyard {

/// How many letters to put in, take out, change, or swap with the next one turn `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b);

/// The nearest of `known`, the first of equals; nullopt when none is near enough to have been meant
/// (more than a third of the letters differ).
std::optional<std::string_view> NearestWord(std::string_view word,
                                            std::span<const std::string_view> known);

}  // namespace vineyard
