// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an object's descriptor refers to.
#pragma once

#include <cstdint>
#include <set>

#include "layout/record.h"
#include "wire/codec.h"

namespace vineyard::store {

/// REQUIRES: an object's record.
inline const fb::Descriptor* DescriptorOf(const std::byte* record) {
  return flatbuffers::GetRoot<fb::Descriptor>(layout::HeadOf(record).data());
}

/// Its members, and blobs of others that it has buffers in.
inline std::set<uint64_t> ReferredTo(const fb::Descriptor& d) {
  std::set<uint64_t> ids;
  if (d.members() != nullptr) {
    for (const fb::Member* m : *d.members()) ids.insert(m->id());
  }
  if (d.buffers() != nullptr) {
    for (const fb::BufferRange* b : *d.buffers()) {
      if (b->blob() != 0) ids.insert(b->blob());
    }
  }
  return ids;
}

}  // namespace vineyard::store
