// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: objects as a store would give them, of whatever metadata and bytes.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "vineyard/object.h"

namespace vineyard::types {

/// Each buffer in memory of exactly its size, `shift` bytes after an aligned place.
inline Object ObjectOf(std::string metadata, const std::vector<std::string>& buffers = {},
                       size_t shift = 0) {
  ObjectInfo info;
  info.type_name = "test::Object";
  info.metadata = std::move(metadata);
  std::vector<Blob> blobs;
  for (const std::string& bytes : buffers) {
    const std::shared_ptr<std::byte[]> memory(new std::byte[bytes.size() + shift]);
    if (!bytes.empty()) std::memcpy(memory.get() + shift, bytes.data(), bytes.size());
    blobs.emplace_back(ObjectId(7), 0, std::span(memory.get() + shift, bytes.size()), memory,
                       nullptr);
  }
  return {std::move(info), std::move(blobs)};
}

/// The bytes of some numbers.
template <typename T>
std::string Bytes(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}
inline std::string Ints(const std::vector<int32_t>& numbers) { return Bytes(numbers); }

}  // namespace vineyard::types
