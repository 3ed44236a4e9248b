// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arbitrary bytes as a ledger: its header, and the intent an engine left.
#include <algorithm>
#include <cstring>

#include "layout/ledger.h"
#include "os/mapping.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  using namespace vineyard::layout;
  // Pages that no input has touched stay zero and cost nothing.
  static const os::UniqueFd memory = os::CreateMemfd("ledger_fuzz", kLedgerSize).value();
  static const os::Mapping mapping =
      os::Mapping::Open(memory, kLedgerSize, os::Access::kReadWrite).value();
  const size_t header = std::min<size_t>(size, sizeof(LedgerHeader));
  const size_t intent = std::min<size_t>(size - header, 64 << 10);
  std::memset(mapping.data(), 0, kLedgerPage + (64 << 10));
  if (header > 0) std::memcpy(mapping.data(), data, header);
  if (intent > 0) std::memcpy(mapping.data() + kLedgerPage, data + header, intent);
  Ledger ledger(mapping.data());
  ledger.Check().IgnoreError();  // whatever it says, the intent must be safe to read
  const auto read = ledger.ReadIntent();
  if (!read.ok() || !read->has_value()) return 0;
  // What passes for an intent is one: published again it is the same.
  const Ledger::Intent& first = **read;
  ledger.Initialize(2, 3);
  VY_CHECK(ledger.Check().ok());
  ledger.Publish(first.client_key, first.answer, first.changes);
  const auto again = ledger.ReadIntent();
  VY_CHECK(again.ok() && again->has_value());
  VY_CHECK((*again)->client_key == first.client_key &&
           (*again)->changes.size() == first.changes.size());
  ledger.Clear();
  VY_CHECK(!ledger.ReadIntent()->has_value());
  return 0;
}
