// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Texts that people and clients write: sizes, durations, ids, globs. A glob and its text are what lies
// before and behind the first NUL.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/duration.h"
#include "base/glob.h"
#include "base/size.h"
#include "vineyard/ids.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  if (size > 4096) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = ParseSize(text); bytes.ok()) {
    // Rounded down, and read again: never more.
    const auto again = ParseSize(FormatSize(*bytes));
    VY_CHECK(again.ok() && *again <= *bytes);
  }
  if (const auto share = ParseSizeOrShare(text, 1 << 20); share.ok() && text.ends_with('%')) {
    VY_CHECK(*share <= 1 << 20);
  }
  if (const auto duration = ParseDuration(text); duration.ok()) VY_CHECK(duration->count() >= 0);
  if (const auto id = ObjectId::Parse(text)) VY_CHECK(ObjectId::Parse(id->ToString()) == id);
  const size_t end = std::min(text.find('\0'), text.size());
  const std::string_view pattern = text.substr(0, end);
  const std::string_view subject = text.substr(std::min(end + 1, text.size()));
  GlobMatch(pattern, subject);
  VY_CHECK(GlobMatch("*", subject));
  // Each of its characters, whatever it means in a pattern, stands for itself behind a backslash.
  std::string itself;
  for (const char c : subject) {
    if ((c & 0xC0) != 0x80) itself += '\\';
    itself += c;
  }
  VY_CHECK(GlobMatch(itself, subject));
  return 0;
}
