// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/kept_items.h"

#include <utility>

#include <fmt/format.h>

#include "layout/catalog.h"
#include "os/memfd.h"
#include "os/socket.h"

namespace vineyard::daemon {

namespace {

// The kernel marks at most 2048 words of a thread that dies; the C library may hold some of its own.
constexpr size_t kMaxPages = 2000;

bool HasKeeperPage(const KeeperMessage& message) {
  return message.kind == KeptKind::kCatalog && (message.b & 0xffff'ffff) == 0;
}

layout::KeeperPage* PageOf(const os::Mapping& mapping) {
  return reinterpret_cast<layout::KeeperPage*>(mapping.data() + layout::kCatalogPage);
}

// Both pages are mapped, though only the second is used: where the system's pages are larger than
// ours, the second does not begin a page of the system.
Result<os::Mapping> HoldPage(const os::UniqueFd& fd) {
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(fd));
  if (size < layout::kFirstSegmentOffset || !os::HasFixedSize(fd)) {
    return Status::Invalid(
        fmt::format("a catalog of {} bytes is too short, or its size is not sealed", size));
  }
  VY_ASSIGN_OR_RETURN(os::Mapping mapping,
                      os::Mapping::Open(fd, layout::kFirstSegmentOffset, os::Access::kReadWrite));
  VY_RETURN_IF_ERROR(mapping.Populate(os::Access::kReadWrite));
  VY_RETURN_IF_ERROR(os::HoldRobustWord(&PageOf(mapping)->keeper));
  return mapping;
}

}  // namespace

Status KeptItems::Hold(const KeeperMessage& message, os::UniqueFd fd) {
  if (!fd.valid()) return Status::Invalid("nothing to hold: no descriptor came along");
  const KeptKey key = KeyOf(message);
  Drop(key);
  Item item{message, std::move(fd), {}};
  item.message.op = KeeperOp::kItem;
  item.message.sequence = 0;
  if (HasKeeperPage(message)) {
    if (pages_ >= kMaxPages) {
      return Status::LimitExceeded(fmt::format("no more than {} catalogs", kMaxPages));
    }
    VY_ASSIGN_OR_RETURN(item.page, HoldPage(item.fd));
    ++pages_;
  }
  items_.emplace(key, std::move(item));
  return {};
}

void KeptItems::Release(Item* item) {
  if (item->page.valid()) os::ReleaseRobustWord(&PageOf(item->page)->keeper);
}

void KeptItems::Drop(const KeptKey& key) {
  const auto found = items_.find(key);
  if (found == items_.end()) return;
  if (found->second.page.valid()) --pages_;
  Release(&found->second);
  items_.erase(found);
}

void KeptItems::Clear() {
  for (auto& [key, item] : items_) Release(&item);
  items_.clear();
  pages_ = 0;
}

int KeptItems::Descriptor(const KeptKey& key) const {
  const auto found = items_.find(key);
  return found == items_.end() ? -1 : found->second.fd.get();
}

std::vector<KeeperMessage> KeptItems::Inventory() const {
  std::vector<KeeperMessage> all;
  all.reserve(items_.size());
  for (const auto& [key, item] : items_) all.push_back(item.message);
  return all;
}

void KeptItems::MarkReplaced() {
  for (const auto& [key, item] : items_) {
    if (item.page.valid()) PageOf(item.page)->replaced.store(1, std::memory_order_release);
  }
}

std::vector<std::string> KeptItems::ListenerPaths(uint64_t first_volume) const {
  std::vector<std::string> paths;
  for (const auto& [key, item] : items_) {
    const bool known = key.a == first_volume && key.b == 0;
    if (key.kind != KeptKind::kListener || known) continue;
    std::string path = os::BoundPath(item.fd);
    if (path.starts_with('/') && !path.starts_with("/proc/")) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace vineyard::daemon
