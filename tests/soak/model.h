// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a store must hold of one process's objects and names: the rules of ownership, and nothing else.
//
// Plain words without pointers, since it lies in memory that outlives the process (seat.h). The other half
// of the truth is `Operation`: what a process is about to do, so that whoever comes after it knows all
// but whether that has happened.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vineyard::soak {

constexpr uint32_t kMostObjects = 256;
constexpr uint32_t kNames = 16;
constexpr uint32_t kMostBatch = 64;
constexpr uint32_t kNoName = kNames;
/// Seeds that one operation may use.
constexpr uint64_t kSeedStep = kMostBatch;

/// The bytes that (seed, size) stands for. No two seeds give the same, from 8 bytes on.
void FillContent(std::span<std::byte> bytes, uint64_t seed);
bool IsContent(std::span<const std::byte> bytes, uint64_t seed);

/// An object's typename says who put it and as what, so that each is known by sight.
struct Origin {
  uint32_t who = 0;
  uint64_t seed = 0;
  auto operator<=>(const Origin&) const = default;
};
std::string TypeName(const Origin& origin);
/// False where it is not one of ours.
bool ReadTypeName(const std::string& text, Origin* origin);

struct Held {
  uint64_t id;
  uint64_t seed;
  uint64_t parts[2];  // members, of the two seeds that follow; 0: it has none
  uint32_t size;
  uint32_t label;  // 0: it has none
  bool owned;      // it goes with its last name
};

struct NameHeld {
  uint64_t id;  // 0: there is no such name
  uint64_t version;
};

enum class Kind : uint32_t {
  kPut,         // `count` objects of `size` bytes, each by itself; the only one may get a name
  kPutInPlace,  // one, of memory that was allocated in the store
  kPutWhole,    // one with two members
  kSetLabel,
  kPutName,
  kDropName,
  kDelete,  // `count` objects from `slot` on, in one request
  // What leaves nothing behind when it is over:
  kStream,   // `count` chunks written and read
  kReserve,  // memory reserved and given back
  kBlob,     // a blob made alone, got and deleted
  kVolume,   // a volume made, used and removed
};
constexpr uint32_t kKinds = 11;
const char* KindName(Kind kind);

struct Operation {
  Kind what;
  uint32_t slot;
  uint32_t count;
  uint32_t name;
  uint32_t size;
  uint32_t label;
  uint64_t seed;
};

/// What came of it.
struct Outcome {
  std::array<uint64_t, kMostBatch> ids;  // of the objects made; 0: that one was refused
  std::array<uint64_t, 2> parts;
};

class Model {
 public:
  void Apply(const Operation& operation, const Outcome& outcome);

  [[nodiscard]] std::span<const Held> objects() const { return {objects_.data(), count_}; }
  [[nodiscard]] std::span<const NameHeld> names() const { return names_; }
  [[nodiscard]] const Held* Find(uint64_t id) const;
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  void Add(const Held& held);
  void Remove(const Held* held);
  void Point(uint32_t name, uint64_t id);
  void Unname(uint32_t name);

  std::array<Held, kMostObjects> objects_;
  std::array<NameHeld, kNames> names_;
  uint64_t count_;
  uint64_t bytes_;  // of all objects, members included
};

}  // namespace vineyard::soak
