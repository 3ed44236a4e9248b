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
#include <memory>
#include <span>

#include "vineyard/ids.h"

namespace vineyard {

class Blob {
 public:
  Blob() = default;
  /// Used by the client: `bytes` stay valid as long as `keep_alive` does.
  Blob(ObjectId id, uint64_t offset, std::span<const std::byte> bytes,
       std::shared_ptr<const void> keep_alive, bool zero_copy)
      : id_(id), offset_(offset), bytes_(bytes), keep_alive_(std::move(keep_alive)),
        zero_copy_(zero_copy) {}

  /// The blob these bytes lie in, and where in it they begin.
  [[nodiscard]] ObjectId id() const { return id_; }
  [[nodiscard]] uint64_t offset() const { return offset_; }

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// True when these are the pages the writer filled, false for a private copy of a small blob.
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }
  [[nodiscard]] const std::shared_ptr<const void>& keep_alive() const { return keep_alive_; }

  /// The bytes [offset, offset + length) of this one; keeps the whole alive.
  /// REQUIRES: offset + length <= size().
  [[nodiscard]] Blob Slice(uint64_t offset, uint64_t length) const {
    return {id_, offset_ + offset, bytes_.subspan(offset, length), keep_alive_, zero_copy_};
  }

 private:
  ObjectId id_;
  uint64_t offset_ = 0;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> keep_alive_;
  bool zero_copy_ = false;
};

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
  std::shared_ptr<internal::Reservation> reservation_;  // shared with arrays built on its bytes
};

}  // namespace vineyard
