// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// KeptItems: the descriptors that the keeper holds for its engines, and its page of each catalog.
//
// Owned by the keeper's only thread, which is also the holder of the robust word in every keeper page:
// readers of a catalog see that word dead once the item is dropped or the keeper has ended.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/keeper_protocol.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

struct KeptKey {
  KeptKind kind{};
  uint64_t a = 0;
  uint64_t b = 0;
  friend auto operator<=>(const KeptKey&, const KeptKey&) = default;
};
inline KeptKey KeyOf(const KeeperMessage& message) { return {message.kind, message.a, message.b}; }

class KeptItems {
 public:
  KeptItems() = default;
  KeptItems(const KeptItems&) = delete;
  KeptItems& operator=(const KeptItems&) = delete;
  ~KeptItems() { Clear(); }

  /// Takes what `message` describes, in place of an item with the same key. Of a catalog's first file
  /// it maps the keeper's page and holds its word; where that fails, nothing is held.
  Status Hold(const KeeperMessage& message, os::UniqueFd fd);
  void Drop(const KeptKey& key);
  void Clear();

  /// -1 if there is no such item (any more).
  [[nodiscard]] int Descriptor(const KeptKey& key) const;
  /// A kItem for each thing held.
  [[nodiscard]] std::vector<KeeperMessage> Inventory() const;

  /// Tells the readers of every catalog held that another engine takes over.
  void MarkReplaced();

  /// Paths of the listening sockets held, except that of `first_volume`'s, which the caller knows
  /// better: a long one cannot be read back from its socket.
  [[nodiscard]] std::vector<std::string> ListenerPaths(uint64_t first_volume) const;

 private:
  struct Item {
    KeeperMessage message;
    os::UniqueFd fd;
    os::Mapping page;  // a catalog's header and keeper page
  };
  static void Release(Item* item);

  std::map<KeptKey, Item> items_;
  size_t pages_ = 0;  // items with a mapping
};

}  // namespace vineyard::daemon
