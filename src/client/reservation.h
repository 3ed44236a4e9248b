// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Reservation: the memory behind a MutableBlob, before and after its seal.
//
// Large ones are an extent of the instance, mapped shared and writable until the seal, which puts a
// private mapping of the same pages at the same address: the arrays built on it stay valid, and what
// is written to them later is seen by this process only. Small ones lie in this process's heap, and
// travel with the seal.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "client/fork.h"
#include "client/impl.h"

namespace vineyard::internal {

class Reservation {
 public:
  static Result<std::shared_ptr<Reservation>> Make(std::shared_ptr<Client::Impl> impl,
                                                   uint64_t size, os::TimePoint deadline);
  ~Reservation() { Abort(); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  Result<Blob> Seal(os::TimePoint deadline);
  /// As the next chunk of the stream.
  Result<ObjectId> SealInto(ObjectId stream, os::TimePoint deadline);
  void Abort();

  [[nodiscard]] ObjectId id() const { return extent_.blob; }
  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

 private:
  Reservation() = default;
  Status Publish(ObjectId stream, os::TimePoint deadline);

  std::shared_ptr<Client::Impl> impl_;
  uint64_t epoch_ = 0;  // of the process that may seal it or give it back
  client::ReservedExtent extent_;
  client::ForkShield shield_;
  struct FreeAligned {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], FreeAligned> small_;
  std::span<std::byte> bytes_;
  bool done_ = false;  // sealed, or given back
};

}  // namespace vineyard::internal
