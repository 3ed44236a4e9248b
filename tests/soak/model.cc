// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/model.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "vineyard/status.h"

namespace vineyard::soak {

namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

// Each word differs, and with the seed.
uint64_t WordAt(uint64_t seed, uint64_t index) { return (seed + 1) * kGolden + index * kGolden; }

}  // namespace

void FillContent(std::span<std::byte> bytes, uint64_t seed) {
  const size_t words = bytes.size() / 8;
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = WordAt(seed, i << 20);
    std::memcpy(bytes.data() + 8 * i, &word, 8);
  }
  const uint64_t last = WordAt(seed, words << 20);
  std::memcpy(bytes.data() + 8 * words, &last, bytes.size() % 8);
}

bool IsContent(std::span<const std::byte> bytes, uint64_t seed) {
  const size_t words = bytes.size() / 8;
  uint64_t wrong = 0;
  for (size_t i = 0; i < words; ++i) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + 8 * i, 8);
    wrong |= word ^ WordAt(seed, i << 20);
  }
  const uint64_t last = WordAt(seed, words << 20);
  return wrong == 0 && std::memcmp(bytes.data() + 8 * words, &last, bytes.size() % 8) == 0;
}

std::string TypeName(const Origin& origin) {
  return fmt::format("s{}.{}", origin.who, origin.seed);
}

bool ReadTypeName(const std::string& text, Origin* origin) {
  const char* end = text.data() + text.size();
  if (text.empty() || text[0] != 's') return false;
  const auto who = std::from_chars(text.data() + 1, end, origin->who);
  if (who.ec != std::errc() || who.ptr == end || *who.ptr != '.') return false;
  const auto seed = std::from_chars(who.ptr + 1, end, origin->seed);
  return seed.ec == std::errc() && seed.ptr == end;
}

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kPut: return "put";
    case Kind::kPutInPlace: return "put in place";
    case Kind::kPutWhole: return "put with members";
    case Kind::kSetLabel: return "set label";
    case Kind::kPutName: return "put name";
    case Kind::kDropName: return "drop name";
    case Kind::kDelete: return "delete";
    case Kind::kStream: return "stream chunks";
    case Kind::kReserve: return "reserve and abort";
    case Kind::kBlob: return "blob";
    case Kind::kVolume: return "volume";
  }
  return "?";
}

const Held* Model::Find(uint64_t id) const {
  const auto all = objects();
  const auto it = std::ranges::find(all, id, &Held::id);
  return it == all.end() ? nullptr : &*it;
}

void Model::Apply(const Operation& operation, const Outcome& outcome) {
  switch (operation.what) {
    case Kind::kPut:
    case Kind::kPutInPlace:
    case Kind::kPutWhole:
      for (uint32_t i = 0; i < operation.count; ++i) {
        if (outcome.ids[i] == 0) continue;
        Add({.id = outcome.ids[i],
             .seed = operation.seed + i,
             .parts = {outcome.parts[0], outcome.parts[1]},
             .size = operation.size,
             .label = 0,
             .owned = operation.name != kNoName});
        if (operation.name != kNoName) Point(operation.name, outcome.ids[i]);
      }
      break;
    case Kind::kSetLabel: objects_[operation.slot].label = operation.label; break;
    case Kind::kPutName: Point(operation.name, objects_[operation.slot].id); break;
    case Kind::kDropName:
      Unname(operation.name);
      names_[operation.name] = {};
      break;
    case Kind::kDelete:
      for (uint32_t i = operation.count; i-- > 0;) {
        const Held* held = &objects_[operation.slot + i];
        for (NameHeld& name : names_) {
          if (name.id == held->id) name = {};
        }
        Remove(held);
      }
      break;
    case Kind::kStream:
    case Kind::kReserve:
    case Kind::kBlob:
    case Kind::kVolume: break;
  }
}

void Model::Add(const Held& held) {
  VY_CHECK(count_ < kMostObjects);
  objects_[count_++] = held;
  bytes_ += held.parts[0] == 0 ? held.size : 3 * uint64_t{held.size};
}

void Model::Remove(const Held* held) {
  bytes_ -= held->parts[0] == 0 ? held->size : 3 * uint64_t{held->size};
  objects_[static_cast<size_t>(held - objects_.data())] = objects_[--count_];
}

void Model::Point(uint32_t name, uint64_t id) {
  const uint64_t version = names_[name].version + 1;
  if (names_[name].id != id) Unname(name);
  names_[name] = {id, version};
}

// The object goes with the last name that it has, if names own it.
void Model::Unname(uint32_t name) {
  const uint64_t id = std::exchange(names_[name].id, 0);
  const Held* held = Find(id);
  if (held == nullptr || !held->owned) return;
  if (std::ranges::find(names_, id, &NameHeld::id) == names_.end()) Remove(held);
}

}  // namespace vineyard::soak
