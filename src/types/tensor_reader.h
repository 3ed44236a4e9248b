// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Tensors as JSON and a buffer (docs/formats/values.md).
#pragma once

#include <string_view>

#include "types/tree.h"
#include "vineyard/tensor.h"

namespace vineyard {

class TensorReader {
 public:
  /// Whether nodes of a codec are tensors of plain elements.
  static bool Knows(std::string_view codec) { return codec == "tensor" || codec == "tensor.typed"; }
  /// The tensor of a node that nobody has checked. REQUIRES: Knows its codec.
  static Result<AnyTensor> Read(const types::Tree& tree, const types::Json& node, Check check);

 private:
  static Status ReadType(const types::Json& node, AnyTensor* tensor);
  static Status ReadLayout(const types::Json& node, AnyTensor* tensor);
};

}  // namespace vineyard
