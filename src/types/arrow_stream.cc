// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ArrowArrayStream structures: written to, and read to their end.
#include <cerrno>
#include <cstring>

#include "types/arrow_export.h"
#include "types/arrow_import.h"

namespace vineyard::types {

namespace {

StreamSource& SourceOf(ArrowArrayStream* stream) {
  return *static_cast<StreamSource*>(stream->private_data);
}

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  SourceOf(stream).schema(out);
  return 0;
}

int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  if (!SourceOf(stream).next(out)) *out = {};  // released: the end
  return 0;
}

const char* GetLastError(ArrowArrayStream* /*stream*/) { return nullptr; }

void Release(ArrowArrayStream* stream) {
  delete static_cast<StreamSource*>(stream->private_data);
  stream->release = nullptr;
}

// Releases the structure that it holds.
template <typename T>
class Owned {
 public:
  Owned() = default;
  explicit Owned(T value) : value_(value) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (value_.release != nullptr) value_.release(&value_);
  }
  T* operator->() { return &value_; }
  T* get() { return &value_; }

 private:
  T value_{};
};

Status Failed(ArrowArrayStream* stream, int code, std::string_view what) {
  const char* why = stream->get_last_error(stream);
  return Status::IOError(fmt::format("the Arrow stream gave no {}: {}", what,
                                     why != nullptr ? why : std::strerror(code)));
}

}  // namespace

void ExportStream(StreamSource source, ArrowArrayStream* out) {
  *out = {.get_schema = GetSchema,
          .get_next = GetNext,
          .get_last_error = GetLastError,
          .release = Release,
          .private_data = new StreamSource(std::move(source))};
}

Result<StreamContent> ImportStream(ArrowArrayStream* stream) {
  if (stream->release == nullptr) return Status::Invalid("the Arrow stream was released already");
  Owned<ArrowArrayStream> taken(*stream);
  stream->release = nullptr;
  Owned<ArrowSchema> schema;
  if (const int code = taken->get_schema(taken.get(), schema.get()); code != 0) {
    return Failed(taken.get(), code, "schema");
  }
  StreamContent content;
  VY_ASSIGN_OR_RETURN(content.field, ImportField(*schema.get()));
  while (true) {
    ArrowArray next{};
    if (const int code = taken->get_next(taken.get(), &next); code != 0) {
      return Failed(taken.get(), code, "array");
    }
    if (next.release == nullptr) return content;
    VY_ASSIGN_OR_RETURN(ArrayData data, ImportArray(TakeOver(&next), content.field.type));
    content.arrays.push_back(std::make_shared<const ArrayData>(std::move(data)));
  }
}

}  // namespace vineyard::types
