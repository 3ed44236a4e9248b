// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <nanobind/stl/string.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

/// Buffers of the caller (copied by the put) and blobs (referred to), with what keeps them.
void AddBuffers(ObjectBuilder& builder, nb::handle buffers, std::vector<BufferView>& views) {
  for (nb::handle item : buffers) {
    if (nb::isinstance<Blob>(item)) {
      builder.AddBuffer(nb::cast<const Blob&>(item));
    } else {
      views.emplace_back(item);
      builder.AddBuffer(views.back().bytes());
    }
  }
}

void AddMembers(ObjectBuilder& builder, nb::handle members) {
  if (members.is_none()) return;
  for (auto [key, id] : nb::cast<nb::dict>(members)) {
    builder.AddMember(nb::cast<std::string>(key), nb::cast<ObjectId>(id));
  }
}

}  // namespace

ObjectBuilder MakeBuilder(PutParts&& parts, std::vector<BufferView>& views) {
  ObjectBuilder builder(std::move(parts.type_name));
  builder.SetMetadata(std::move(parts.metadata));
  AddBuffers(builder, parts.buffers, views);
  AddMembers(builder, parts.members);
  if (!parts.labels.is_none()) {
    for (auto [key, value] : nb::cast<nb::dict>(parts.labels)) {
      builder.AddLabel(nb::cast<std::string>(key), nb::cast<std::string>(value));
    }
  }
  return builder;
}

}  // namespace vineyard::python
