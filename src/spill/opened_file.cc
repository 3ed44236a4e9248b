// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/opened_file.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "os/user.h"

namespace vineyard::spill {

namespace {

bool IsAligned(std::span<const std::byte> bytes) {
  return reinterpret_cast<uintptr_t>(bytes.data()) % os::kDiskAlign == 0 &&
         bytes.size() % os::kDiskAlign == 0;
}

Result<std::span<std::byte>> ReadFirst(const os::DiskFile& file, std::span<std::byte> into) {
  VY_ASSIGN_OR_RETURN(const uint64_t got, file.ReadAt(0, into));
  return into.first(got);
}

}  // namespace

Result<std::shared_ptr<const OpenedFile>> OpenedFile::Open(std::shared_ptr<Place> place,
                                                           const Key& key) {
  VY_ASSIGN_OR_RETURN(os::DiskFile file, place->Open(key));
  std::shared_ptr<OpenedFile> opened(new OpenedFile(place, key, std::move(file)));
  VY_ASSIGN_OR_RETURN(opened->info_, opened->file_.Look());
  const std::string name = fmt::format("'{}/{}'", place->path(), FileName(key));
  if (opened->info_.owner != os::EffectiveUser()) {
    Status not_ours =
        Status::NotSupported(fmt::format("{} belongs to user {}", name, opened->info_.owner));
    place->Disown(key, not_ours);
    return not_ours;
  }
  Status read = opened->ReadHead().WithContext(name);
  if (read.Is(StatusCode::kCorrupted)) place->SetAside(key, opened->info_.identity, read);
  if (read.Is(StatusCode::kNotSupported)) place->Disown(key, read);
  VY_RETURN_IF_ERROR(read);
  return std::shared_ptr<const OpenedFile>(std::move(opened));
}

Status OpenedFile::ReadHead() {
  VY_ASSIGN_OR_RETURN(os::DiskBuffer buffer, os::DiskBuffer::Make(os::kDiskAlign));
  VY_ASSIGN_OR_RETURN(std::span<std::byte> bytes, ReadFirst(file_, buffer.bytes()));
  VY_ASSIGN_OR_RETURN(const uint64_t length, ReadHeadLength(bytes, info_.size));
  if (length > bytes.size()) {
    VY_ASSIGN_OR_RETURN(buffer, os::DiskBuffer::Make(length));
    VY_ASSIGN_OR_RETURN(bytes, ReadFirst(file_, buffer.bytes()));
  }
  VY_ASSIGN_OR_RETURN(head_, DecodeHead(bytes, info_.size));
  if (head_.key != key_) {
    return Status::Corrupted(
        fmt::format("the head says that the file is '{}'", FileName(head_.key)));
  }
  if (head_.place != place_->uuid()) {
    return Status::NotSupported(
        fmt::format("it was written by instance {:016x}{:016x}", head_.place[0], head_.place[1]));
  }
  return {};
}

Status OpenedFile::FetchOnce(uint64_t block, std::span<std::byte> padded) const {
  const uint64_t data = HeadLength(head_.description.size(), head_.size);
  const uint64_t at = data + block * kBlock;
  VY_ASSIGN_OR_RETURN(const uint64_t got, file_.ReadAt(at, padded));
  const uint64_t blocks = head_.checksums.size();
  if (got < padded.size()) {
    return Status::Corrupted(fmt::format("block {} of {} is short: it has {} of {} bytes",
                                         block + 1, blocks, got, padded.size()));
  }
  if (BlockChecksum(padded) == head_.checksums[block]) return {};
  return Status::Corrupted(
      fmt::format("block {} of {} is damaged (bytes {} to {} of the file): its checksum is another "
                  "one",
                  block + 1, blocks, at, at + padded.size() - 1));
}

Status OpenedFile::Fetch(uint64_t block, std::span<std::byte> padded) const {
  Status fetched = FetchOnce(block, padded);
  if (fetched.Is(StatusCode::kCorrupted)) fetched = FetchOnce(block, padded);
  if (fetched.ok()) return fetched;
  fetched = fetched.WithContext(fmt::format("'{}/{}'", place_->path(), FileName(key_)));
  if (fetched.Is(StatusCode::kCorrupted)) place_->SetAside(key_, info_.identity, fetched);
  return fetched;
}

Status OpenedFile::CheckBlock(uint64_t block, std::span<std::byte> scratch) const {
  return Fetch(block, scratch.first(PaddedBlockLength(head_.size, block)));
}

Status OpenedFile::ReadBlock(uint64_t block, uint64_t offset, const Destination& into,
                             std::span<std::byte> scratch) const {
  const uint64_t block_begin = block * kBlock;
  const uint64_t length = BlockLength(head_.size, block);
  const uint64_t padded = PaddedBlockLength(head_.size, block);
  const uint64_t begin = std::max(offset, block_begin);
  const uint64_t end = std::min(offset + into.size(), block_begin + length);
  VY_RETURN_IF_ERROR(Prepare(into, begin - offset, end - begin));
  const bool whole = begin == block_begin && end == block_begin + length && length == padded;
  if (whole) {
    const std::span<std::byte> there = into.InOnePart(begin - offset, length);
    if (!there.empty() && IsAligned(there)) return Fetch(block, there);
  }
  const std::span<std::byte> bytes = scratch.first(padded);
  VY_RETURN_IF_ERROR(Fetch(block, bytes));
  const std::byte* from = bytes.data() + (begin - block_begin);
  into.ForEachIn(begin - offset, end - begin, [&](std::span<std::byte> piece) {
    std::memcpy(piece.data(), from, piece.size());
    from += piece.size();
  });
  return {};
}

Status OpenedFile::Read(uint64_t offset, std::span<std::byte> into,
                        std::span<std::byte> scratch) const {
  if (offset > head_.size || into.size() > head_.size - offset) {
    return Status::Invalid(fmt::format("'{}' has {} bytes, and not {} from {} on", FileName(key_),
                                       head_.size, into.size(), offset));
  }
  if (into.empty()) return {};
  const Destination destination{.spans = {into}};
  const uint64_t last = (offset + into.size() - 1) / kBlock;
  for (uint64_t block = offset / kBlock; block <= last; ++block) {
    VY_RETURN_IF_ERROR(ReadBlock(block, offset, destination, scratch));
  }
  return {};
}

}  // namespace vineyard::spill
