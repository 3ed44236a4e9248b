// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Judge: compares a store in which nobody does anything now with what the seats say it must hold.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "soak/process.h"
#include "soak/seat.h"
#include "vineyard/client.h"

namespace vineyard::soak {

class Judge {
 public:
  Judge(const Instance& instance, Client client, std::span<Seat> seats);

  /// What a new instance has in use; before anything is done.
  Status Begin();
  struct Served {
    uint64_t generation = 0;
    uint64_t clients = 0;  ///< Others than the judge.
  };
  Result<Served> WhoIsServed();
  /// Finds out whether the operation in which the seat's process was killed has happened, and takes away what
  /// nobody was told of. It must have happened whole or not at all.
  Status Settle(Seat& seat);
  /// Objects, names, and memory.
  Status Check();
  /// That nothing is left, and exactly as much is used as in the beginning.
  Status CheckEmpty();

  /// The most that resident memory has been above 1.1 times what lives.
  [[nodiscard]] int64_t worst_bytes() const { return worst_; }
  [[nodiscard]] uint64_t checks() const { return checks_; }
  [[nodiscard]] Client& client() { return client_; }

 private:
  struct Found {
    std::map<uint64_t, ObjectInfo> objects;
    std::vector<uint64_t> blobs;
    std::set<uint64_t> referred;  // blobs that objects have buffers in
    [[nodiscard]] std::vector<ObjectId> BlobsOfNobody() const;
    std::map<std::string, NameInfo> names;
  };
  Result<Found> Look();
  [[nodiscard]] Status Compare(const Found& found, uint32_t who, const Model& model) const;
  [[nodiscard]] Status CompareNames(const Found& found, uint32_t who, const Model& model) const;
  Status RemoveTraces(const Found& found, uint32_t who, const Operation& operation);
  Status CheckMemory();
  [[nodiscard]] std::string WhatDisagrees(const InstanceStatus& status,
                                          const KernelFigures& kernel);
  [[nodiscard]] uint32_t NumberOf(const Seat& seat) const {
    return static_cast<uint32_t>(&seat - seats_.data());
  }

  const Instance& instance_;
  Client client_;
  std::span<Seat> seats_;
  uint64_t start_ = 0;
  int64_t worst_ = INT64_MIN;
  uint64_t checks_ = 0;
};

}  // namespace vineyard::soak
