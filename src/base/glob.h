// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Globs over names: * is any text (a "/" too), ? one character, [a-z] one of these, [!a-z] one of
// the others, and \ takes the next character as it stands.
//
// A character is one of UTF-8, or a single byte where the bytes are no UTF-8. A "[" that is never
// closed, and a "\" at the very end, stand for themselves, so every pattern means something.
#pragma once

#include <string_view>

namespace vineyard {

/// Whether all of `text` fits `pattern`. Takes at most |pattern| × |text| steps and no memory,
/// whatever the pattern: only the last * met is ever tried again.
bool GlobMatch(std::string_view pattern, std::string_view text);

}  // namespace vineyard
