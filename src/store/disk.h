// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Disk: what the store needs of the disk that it spills to. SpillDisk implements it over a folder and its
// threads; tests in their own time. All calls and callbacks are on the engine's thread, no call waits for
// the disk, and no callback is called from within a call.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "spill/format.h"
#include "spill/memory.h"
#include "spill/place.h"
#include "vineyard/status.h"

namespace vineyard::store {

/// What a file of the store's holds: the kinds of spill::Key.
inline constexpr uint8_t kExtentFile = 1;

class Disk {
 public:
  using Done = std::function<void(Status)>;
  virtual ~Disk() = default;
  /// A file of that key, instead of one before; errors are those of spill::Write.
  virtual void Write(const spill::Key& key, spill::Source source, Done done) = 0;
  /// Fills the destination from the file's beginning; errors are those of spill::Read.
  virtual void Read(const spill::Key& key, spill::Destination destination, Done done) = 0;
  /// kNotFound: it is gone already.
  virtual void Remove(const spill::Key& key, Done done) = 0;

  [[nodiscard]] virtual bool Contains(const spill::Key& key) const = 0;
  /// How long the file is; nullopt: there is none that could be read.
  [[nodiscard]] virtual std::optional<uint64_t> LengthOf(const spill::Key& key) const = 0;
  [[nodiscard]] virtual std::vector<spill::Key> Keys() const = 0;
  [[nodiscard]] virtual spill::Figures figures() const = 0;
};

}  // namespace vineyard::store
