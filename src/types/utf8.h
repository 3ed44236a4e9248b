// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Whether bytes are UTF-8: no surrogates, nothing longer than it must be, nothing cut off.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace vineyard::types {

bool IsAscii(std::span<const std::byte> bytes);
bool IsUtf8(std::span<const std::byte> bytes);
inline bool IsUtf8(std::string_view text) { return IsUtf8(std::as_bytes(std::span(text))); }

}  // namespace vineyard::types
