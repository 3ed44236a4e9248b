// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Disk: what the store needs of the disk that it spills to. SpillDisk implements it over a folder and its
// threads; tests in their own time. All calls and callbacks are on the engine's thread, no call waits for
// the disk, and no callback is called from within a call.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "spill/format.h"
#include "spill/memory.h"
#include "spill/place.h"
#include "spill/transfers.h"
#include "vineyard/status.h"

namespace vineyard::store {

/// What a file of the store's holds: the kinds of spill::Key. Those of durable records have no data: all
/// is in the description (store/durable_format.h).
inline constexpr uint8_t kExtentFile = 1;
inline constexpr uint8_t kEntryFile = 2;   // of an object or blob, by its id
inline constexpr uint8_t kNameFile = 3;    // by a number of its own
inline constexpr uint8_t kVolumeFile = 4;  // id 0

constexpr bool IsRecordFile(const spill::Key& key) {
  return key.kind == kEntryFile || key.kind == kNameFile || key.kind == kVolumeFile;
}

/// What the folder held of records when it was taken.
struct RecordFiles {
  std::vector<spill::Found> found;
  std::vector<spill::Key> damaged;  // set aside
  std::vector<spill::Key> left;     // of another format, or unreadable: left where they are
};

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

  // ---- of what is durable: `done` with OK means that a power cut changes nothing any more
  /// A file without data, instead of one before. REQUIRES: its room was promised.
  virtual void WriteRecord(const spill::Key& key, std::vector<std::byte> description,
                           Done done) = 0;
  /// Of a file that is there, its data and its name.
  virtual void Sync(const spill::Key& key, Done done) = 0;
  /// In this order. Those that are not there are no error.
  virtual void RemoveAll(std::vector<spill::Key> keys, Done done) = 0;
  /// Reads all of it when there is nothing else to do. kCorrupted: it has been set aside.
  virtual void Check(const spill::Key& key, Done done) = 0;
  /// Room for files of so many bytes in all. kOutOfMemory: the disk is full. Looks at figures that are in memory,
  /// here and in the kernel.
  virtual Status Promise(uint64_t bytes) = 0;
  virtual void Unpromise(uint64_t bytes) = 0;

  // ---- before anybody is served: these wait for the disk
  virtual Result<RecordFiles> ReadRecords() = 0;
  virtual void SetAside(const spill::Key& key, const Status& why) = 0;

  [[nodiscard]] virtual bool Contains(const spill::Key& key) const = 0;
  /// How long the file is; nullopt: there is none that could be read.
  [[nodiscard]] virtual std::optional<uint64_t> LengthOf(const spill::Key& key) const = 0;
  [[nodiscard]] virtual std::vector<spill::Key> Keys() const = 0;
  [[nodiscard]] virtual spill::Figures figures() const = 0;
};

}  // namespace vineyard::store
