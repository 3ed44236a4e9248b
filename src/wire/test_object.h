// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests and fuzzers: an object with something in every field that its writer fills in.
#pragma once

#include "wire/codec.h"

namespace vineyard::wire {

inline ObjectInfo ExampleObject() {
  ObjectInfo info;
  info.type_name = "vineyard::Tensor<double>";
  info.metadata = R"({"shape_":[2,3]})";
  info.buffers = {{ObjectId(), 0, 48}, {ObjectId(ObjectId::kBlobBit | 5), 64, 100}};
  info.members = {{"left", ObjectId(3)}, {"right", ObjectId(4)}};
  info.labels = {{"team", "grapes"}};
  info.creator.pod = "default/step-1";
  return info;
}

}  // namespace vineyard::wire
