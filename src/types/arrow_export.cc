// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_export.h"

namespace vineyard::types {

namespace {

// Stands for a buffer that is absent, or empty: an array's one offset may be read in it.
alignas(64) constexpr std::byte kZeros[64]{};

// Owns what one ArrowArray points at. Its children and its dictionary release themselves.
struct ExportedArray {
  std::shared_ptr<const ArrayData> data;
  std::vector<const void*> buffers;
  std::vector<int64_t> view_sizes;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
  ArrowArray dictionary{};
};

void Release(ArrowArray* array) {
  const std::unique_ptr<ExportedArray> owned(static_cast<ExportedArray*>(array->private_data));
  for (ArrowArray& child : owned->children) {
    if (child.release != nullptr) child.release(&child);
  }
  if (owned->dictionary.release != nullptr) owned->dictionary.release(&owned->dictionary);
  array->release = nullptr;
}

void FillBuffers(const Type& type, ExportedArray* owned) {
  const std::vector<Buffer>& buffers = owned->data->buffers;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const bool validity = i == 0 && HasValidity(type);
    const void* absent = validity ? nullptr : kZeros;
    owned->buffers.push_back(buffers[i].empty() ? absent : buffers[i].data());
  }
  if (type.layout != Layout::kBinaryView) return;
  for (size_t i = 2; i < buffers.size(); ++i) {
    owned->view_sizes.push_back(static_cast<int64_t>(buffers[i].size()));
  }
  owned->buffers.push_back(
      owned->view_sizes.empty() ? kZeros : static_cast<const void*>(owned->view_sizes.data()));
}

int64_t NullsOf(const ArrayData& data, const Type& type, int64_t length) {
  if (type.layout == Layout::kNull) return length;
  if (data.null_count == 0 || length == data.length) return data.null_count;
  return -1;  // of a part: whoever wants to know counts them
}

void Finish(std::unique_ptr<ExportedArray> owned, ArrowArray* out) {
  for (ArrowArray& child : owned->children) owned->pointers.push_back(&child);
  out->n_buffers = static_cast<int64_t>(owned->buffers.size());
  out->buffers = owned->buffers.data();
  out->n_children = static_cast<int64_t>(owned->children.size());
  out->children = owned->pointers.data();
  out->dictionary = owned->dictionary.release != nullptr ? &owned->dictionary : nullptr;
  out->release = Release;
  out->private_data = owned.release();
}

}  // namespace

void ExportArray(std::shared_ptr<const ArrayData> data, const Type& type, int64_t offset,
                 int64_t length, ArrowArray* out) {
  auto owned = std::make_unique<ExportedArray>();
  owned->data = std::move(data);
  const ArrayData& from = *owned->data;
  FillBuffers(type, owned.get());
  owned->children.resize(from.children.size());
  for (size_t i = 0; i < from.children.size(); ++i) {
    // A child is a part of what the parent owns, and is kept alive with it.
    const std::shared_ptr<const ArrayData> child(owned->data, &from.children[i]);
    ExportArray(child, type.children[i].type, 0, child->length, &owned->children[i]);
  }
  if (from.dictionary) {
    ExportArray(from.dictionary, *type.dictionary, 0, from.dictionary->length, &owned->dictionary);
  }
  *out = {.length = length, .null_count = NullsOf(from, type, length), .offset = offset};
  Finish(std::move(owned), out);
}

void ExportBatch(std::vector<ArrowArray> columns, int64_t length, ArrowArray* out) {
  auto owned = std::make_unique<ExportedArray>();
  owned->buffers = {nullptr};
  owned->children = std::move(columns);
  *out = {.length = length, .null_count = 0, .offset = 0};
  Finish(std::move(owned), out);
}

}  // namespace vineyard::types
