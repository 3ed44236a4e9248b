// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Stored bytes to be written to by this process alone.
#include <algorithm>
#include <map>
#include <new>

#include "client/impl.h"

namespace vineyard {

namespace {

PrivateBytes Copy(std::span<const std::byte> bytes) {
  constexpr std::align_val_t kAlign{64};
  const std::shared_ptr<std::byte> memory(
      static_cast<std::byte*>(::operator new(std::max<size_t>(bytes.size(), 1), kAlign)),
      [](std::byte* p) { ::operator delete(p, kAlign); });
  std::ranges::copy(bytes, memory.get());
  return {{memory.get(), bytes.size()}, memory};
}

}  // namespace

Result<std::vector<PrivateBytes>> MapPrivate(std::span<const Blob> blobs) {
  std::map<const internal::StoredExtent*, Result<PrivateBytes>> extents;
  std::vector<PrivateBytes> all;
  all.reserve(blobs.size());
  for (const Blob& blob : blobs) {
    if (blob.zero_copy()) {
      auto it = extents.find(blob.extent_);
      if (it == extents.end()) {
        it = extents.emplace(blob.extent_, blob.extent_->MapPrivate()).first;
      }
      if (const Result<PrivateBytes>& whole = it->second; whole.ok()) {
        all.push_back({whole->bytes.subspan(blob.offset(), blob.size()), whole->keep_alive});
        continue;
      }
      if (it->second.status().Is(StatusCode::kCancelled)) return it->second.status();
    }
    all.push_back(Copy(blob.bytes()));
  }
  return all;
}

Result<os::Mapping> Client::Impl::MapPrivate(ObjectId blob) {
  client::Connection& to = connection();
  return client::MapPrivate(to, blob, to.Deadline(std::nullopt));
}

}  // namespace vineyard
