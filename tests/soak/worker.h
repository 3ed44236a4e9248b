// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// One process that does random operations through the public client, and compares all that it finds with
// the model in its seat. It may be killed at any point.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "soak/seat.h"
#include "vineyard/client.h"

namespace vineyard::soak {

struct WorkerOptions {
  uint32_t who = 0;
  uint64_t random = 1;
  uint64_t most_bytes = 0;  ///< That its objects may have.
  uint32_t large = 20;      ///< Of 1000 puts, how many are of sizes that lie in extents.
};

class Worker {
 public:
  Worker(Client client, Seat& seat, const WorkerOptions& options);

  /// At least so many operations. What is found to be different is an error that says what.
  Status Run(uint64_t operations);
  /// Looks at every object and name that it must find.
  Status CheckAll();
  Status DeleteAll();
  /// The generation of the engine that it is connected to.
  Result<uint64_t> Generation();

 private:
  // ---- changes
  Status Change(const Operation& operation);
  Status Do(const Operation& operation, Outcome& outcome);
  Status Put(const Operation& operation, Outcome& outcome);
  Status PutMany(const Operation& operation, Outcome& outcome);
  Status PutInPlace(const Operation& operation, Outcome& outcome);
  Status PutWhole(const Operation& operation, Outcome& outcome);
  Status Delete(const Operation& operation);
  Status Stream(const Operation& operation);
  Status PassChunks(const Operation& operation, ObjectId stream);
  Status Blob(const Operation& operation);
  Status Volume(const Operation& operation);
  Status RandomChange();

  // ---- looking
  Status Step();
  Status GetOne(const Held& held);
  Status GetSeveral();
  Status GetByName(uint32_t name);
  Status TryWhatIsGone();
  Status TryWhatIsRefused();
  [[nodiscard]] Status Compare(const Object& object, const Held& held, uint64_t seed) const;

  [[nodiscard]] uint32_t Below(uint64_t bound);
  [[nodiscard]] uint32_t AnySlot() { return Below(model().objects().size()); }
  [[nodiscard]] uint32_t AnySize();
  [[nodiscard]] uint32_t AnyLargeSize();
  [[nodiscard]] std::string NameOf(uint32_t name) const;
  [[nodiscard]] std::string TypeOf(uint64_t seed) const { return TypeName({options_.who, seed}); }
  [[nodiscard]] const Model& model() const { return seat_.models[0]; }
  [[nodiscard]] std::span<const std::byte> Content(uint64_t seed, uint32_t size);

  Client client_;
  Seat& seat_;
  const WorkerOptions options_;
  uint64_t random_;
  std::vector<std::byte> buffer_;
};

}  // namespace vineyard::soak
