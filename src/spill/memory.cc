// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/memory.h"

#include <string>

#include <fmt/format.h>

namespace vineyard::spill {

namespace {

template <typename Byte>
Result<Parts<Byte>> Map(std::span<const os::FilePart> files, uint64_t size, os::Access access) {
  Parts<Byte> parts;
  if (size == 0) return parts;
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(files, access));
  if (mapping.size() < size) {
    return Status::Invalid(
        fmt::format("files of {} bytes in all don't hold {}", mapping.size(), size));
  }
  auto hold = std::make_shared<os::Mapping>(std::move(mapping));
  parts.spans.push_back(hold->bytes().first(size));
  parts.hold = std::move(hold);
  return parts;
}

}  // namespace

Result<Source> MapSource(std::span<const os::FilePart> files, uint64_t size) {
  return Map<const std::byte>(files, size, os::Access::kRead);
}

Result<Destination> MapDestination(std::span<const os::FilePart> files, uint64_t size) {
  return Map<std::byte>(files, size, os::Access::kReadWrite);
}

Status MapIfLater(Source& source) {
  if (source.mapped_later == 0) return {};
  auto mapped = MapSource(source.files, source.mapped_later);
  // "Out of memory" of a write would speak of the disk; here it is mappings of which this process has too many.
  if (mapped.status().Is(StatusCode::kOutOfMemory)) {
    return Status::LimitExceeded(std::string(mapped.status().message()));
  }
  VY_RETURN_IF_ERROR(mapped.status());
  source = std::move(*mapped);
  return {};
}

}  // namespace vineyard::spill
