// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Blob: immutable bytes in the store, and MutableBlob: the same bytes while they are still written.
//
// A MutableBlob is owned by one place and can only be moved. Sealed by `Client::Seal`, it becomes a
// Blob; destroyed unsealed, its memory goes back to the instance. A Blob keeps its bytes readable for
// as long as any copy or slice of it lives, whatever happens to the object, the client or the
// instance. Both may be used from any thread; a MutableBlob by one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "vineyard/ids.h"
#include "vineyard/status.h"

namespace vineyard {

/// Bytes of this process's own, for as long as `keep_alive` lives.
struct PrivateBytes {
  std::span<std::byte> bytes;
  std::shared_ptr<void> keep_alive;
};

namespace internal {
/// An extent of the store, mapped by this process.
class StoredExtent {
 public:
  /// All of it once more, writable and private.
  [[nodiscard]] virtual Result<PrivateBytes> MapPrivate() const = 0;

 protected:
  ~StoredExtent() = default;
};
}  // namespace internal

class Blob {
 public:
  Blob() = default;
  /// Used by the client: `bytes` and `extent` stay valid as long as `keep_alive` does. `extent`: what
  /// they lie in; null for a copy.
  Blob(ObjectId id, uint64_t offset, std::span<const std::byte> bytes,
       std::shared_ptr<const void> keep_alive, const internal::StoredExtent* extent)
      : id_(id), offset_(offset), bytes_(bytes), keep_alive_(std::move(keep_alive)),
        extent_(extent) {}

  /// The blob these bytes lie in, and where in it they begin.
  [[nodiscard]] ObjectId id() const { return id_; }
  [[nodiscard]] uint64_t offset() const { return offset_; }

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// True when these are the pages the writer filled, false for a private copy of a small blob.
  [[nodiscard]] bool zero_copy() const { return extent_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<const void>& keep_alive() const { return keep_alive_; }

  /// The bytes [offset, offset + length) of this one; keeps the whole alive.
  /// REQUIRES: offset + length <= size().
  [[nodiscard]] Blob Slice(uint64_t offset, uint64_t length) const {
    return {id_, offset_ + offset, bytes_.subspan(offset, length), keep_alive_, extent_};
  }

 private:
  friend Result<std::vector<PrivateBytes>> MapPrivate(std::span<const Blob> blobs);
  ObjectId id_;
  uint64_t offset_ = 0;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> keep_alive_;
  const internal::StoredExtent* extent_ = nullptr;
};

/// The same bytes, to be written to: what is written is seen by this process alone, and the stored bytes
/// never change. Of zero_copy() blobs the same pages, mapped copy-on-write, so that only pages written to
/// take memory; those that lie in one extent share a mapping. Of others, and where the instance has
/// deleted the bytes or is gone, a copy.
Result<std::vector<PrivateBytes>> MapPrivate(std::span<const Blob> blobs);

/// Told how far a transfer is: bytes copied, and of how many. Asked on the calling thread: with 0 before
/// memory is waited for, then about every 64 MiB, then once all is copied. False calls the transfer off.
using Progress = std::function<bool(uint64_t done, uint64_t total)>;

struct CopyOptions {
  Progress progress;  ///< May be empty.
  /// Asked about ten times a second, on the calling thread: true calls it off. May be empty.
  std::function<bool()> interrupted;
};

/// Copies the bytes of each blob to a place of the same size, by several threads where there is much to
/// copy. kCancelled when `options` said so. REQUIRES: the places do not overlap.
Status CopyBytes(std::span<const Blob> blobs, std::span<const std::span<std::byte>> to,
                 const CopyOptions& options = {});

namespace internal {
class Reservation;
}

class MutableBlob {
 public:
  MutableBlob() = default;
  explicit MutableBlob(std::shared_ptr<internal::Reservation> reservation);
  MutableBlob(MutableBlob&&) noexcept = default;
  MutableBlob& operator=(MutableBlob&& other) noexcept;
  MutableBlob(const MutableBlob&) = delete;
  MutableBlob& operator=(const MutableBlob&) = delete;
  ~MutableBlob();

  [[nodiscard]] ObjectId id() const;
  [[nodiscard]] std::span<std::byte> bytes() const;
  [[nodiscard]] std::byte* data() const { return bytes().data(); }
  [[nodiscard]] size_t size() const { return bytes().size(); }
  [[nodiscard]] bool valid() const { return reservation_ != nullptr; }

  /// Gives the memory back now instead of when this is destroyed.
  void Abort();

  /// What keeps `bytes()` mapped: whoever holds it may go on reading them after the seal, and even
  /// writing (later changes go to private copies of the pages; the stored bytes never change).
  [[nodiscard]] std::shared_ptr<void> keep_alive() const;

 private:
  friend class Client;
  friend class StreamWriter;
  std::shared_ptr<internal::Reservation> reservation_;  // shared with arrays built on its bytes
};

}  // namespace vineyard
