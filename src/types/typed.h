// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What getting a typed value has in common.
#pragma once

#include "types/tree.h"
#include "vineyard/client.h"
#include "vineyard/typed.h"

namespace vineyard::types {

inline GetOptions PlainOptions(const ReadOptions& options) {
  return {.timeout = options.timeout, .wait = options.wait};
}

/// `key`: an id or a name.
template <typename T, typename Key>
Result<T> GetTyped(Client& client, const Key& key, const ReadOptions& options) {
  VY_ASSIGN_OR_RETURN(const Object object, client.Get(key, PlainOptions(options)));
  return T::FromObject(object, options.check);
}

/// Of a value of another library that stored it by way of Arrow, the Arrow value; else the root.
inline Result<const Json*> ArrowRoot(const Tree& tree) {
  const Json* node = &tree.root();
  if (Tree::CodecOf(*node) != "capsule") return node;
  const Json* value = Find(*node, "value_");
  if (value == nullptr) return Damaged("a value that was exported by Arrow is missing");
  return tree.Follow(*value);
}

/// The error for an object that is no `wanted`.
inline Status NoSuchType(const Tree& tree, std::string_view wanted) {
  return Status::TypeMismatch(fmt::format("{} is no {}", tree.Description(), wanted));
}

}  // namespace vineyard::types
