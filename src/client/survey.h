// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// SurveyBuilder: makes a Survey of descriptors as they come, keeping some 50 bytes of each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "descriptor_generated.h"
#include "vineyard/survey.h"

namespace vineyard::client {

class SurveyBuilder {
 public:
  /// Each once, with the parts of all, in any order.
  void Add(const fb::Descriptor& descriptor);
  /// Of this blob all lies on the disk, and nothing in memory.
  void AddSpilled(ObjectId blob) { spilled_.push_back(blob.value()); }
  [[nodiscard]] size_t size() const { return entries_.size(); }

  Survey Finish(uint64_t most_steps) &&;

 private:
  struct Entry {
    uint64_t id = 0;
    uint64_t bytes = 0;  // of its own buffers
    int64_t created_unix_ns = 0;
    uint32_t type = 0;
    uint32_t creator = 0;
    uint32_t first_member = 0;  // in members_
    uint32_t members = 0;
    uint32_t first_blob = 0;  // in blobs_: those of others that it has buffers in
    uint32_t blobs = 0;
    bool has_own_bytes = false;
  };
  struct Below {
    std::optional<uint64_t> bytes;
    bool in_memory = false;
    bool on_disk = false;
  };

  uint32_t NumberOfType(std::string_view type);
  uint32_t NumberOfCreator(const fb::Descriptor& descriptor);
  [[nodiscard]] const Entry* Find(uint64_t id) const;
  [[nodiscard]] bool IsPart(const Entry& entry, const std::vector<uint64_t>& parts) const;
  void AddPlaces(const Entry& entry, Below* below) const;
  Below LookBelow(const Entry& root, uint64_t* steps);

  std::vector<Entry> entries_;
  std::vector<uint64_t> members_;
  std::vector<uint64_t> blobs_;
  std::vector<uint64_t> spilled_;
  std::vector<uint32_t> seen_by_;  // of each entry the last walk that came by
  uint32_t walk_ = 0;

  std::vector<std::string> types_;
  std::unordered_map<std::string, uint32_t> numbers_of_types_;
  std::vector<Creator> creators_;
  std::map<std::tuple<uint32_t, uint32_t, std::string, std::string>, uint32_t> numbers_of_creators_;
  uint32_t last_type_ = 0;  // most have the type and the creator of the one before
  uint32_t last_creator_ = 0;
};

}  // namespace vineyard::client
