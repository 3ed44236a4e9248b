// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Printing text that others wrote (names, types, metadata) so that it cannot steer the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vineyard::cli {

/// Text as it may stand in one line of a table: control characters, terminal escapes, characters that
/// turn the direction of writing or are never seen, and bytes that are no UTF-8 become \n, \t, \x1b,
/// \u{202e}; a backslash becomes two, so that different texts stay different.
std::string EscapeForTerminal(std::string_view text);

/// The same for the text of a JSON document: such characters become \u009b, which JSON reads as the
/// character itself. REQUIRES: `json` is JSON in UTF-8.
std::string EscapeJson(std::string_view json);

/// Columns that the text takes on a terminal. REQUIRES: escaped.
size_t DisplayWidth(std::string_view text);

}  // namespace vineyard::cli
