// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <chrono>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "os/crash_point.h"
#include "spill/transfers.h"

namespace vineyard::spill {

namespace {

int64_t Now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

// A piece is a block. The head is written when all blocks are.
class Writing : public Job {
 public:
  Writing(std::shared_ptr<Place> place, WriteRequest request, std::function<void(Status)> done)
      : place_(std::move(place)), request_(std::move(request)), done_(std::move(done)) {}

 private:
  Result<uint64_t> Begin() override;
  Status Do(uint64_t block, std::span<std::byte> scratch) override;
  void End(Status status) override;
  Status Finish();

  const std::shared_ptr<Place> place_;
  WriteRequest request_;
  std::function<void(Status)> done_;
  std::unique_ptr<Part> part_;
  os::DiskBuffer head_bytes_;  // made at the beginning: there may be no memory at the end
  Head head_;
};

Result<uint64_t> Writing::Begin() {
  VY_RETURN_IF_ERROR(MapIfLater(request_.source));
  const uint64_t size = request_.source.size();
  const uint64_t description = request_.description.size();
  if (description > kMostDescription || size > kMostData || request_.key.kind == 0) {
    return Status::Invalid(fmt::format(
        "{} bytes with a description of {} as kind {}: a spill file holds at most {} and "
        "{}, and kind 0 is none",
        size, description, request_.key.kind, kMostData, kMostDescription));
  }
  head_ = {.key = request_.key,
           .place = place_->uuid(),
           .size = size,
           .written_ns = Now(),
           .description = std::move(request_.description),
           .checksums = std::vector<uint64_t>(BlocksOf(size))};
  VY_ASSIGN_OR_RETURN(head_bytes_, os::DiskBuffer::Make(HeadLength(description, size)));
  VY_ASSIGN_OR_RETURN(part_, place_->Make(request_.key, FileLength(description, size),
                                          request_.if_there, request_.room));
  return BlocksOf(size);
}

Status Writing::Do(uint64_t block, std::span<std::byte> scratch) {
  const uint64_t at = block * kBlock;
  const uint64_t length = BlockLength(head_.size, block);
  const uint64_t padded = PaddedBlockLength(head_.size, block);
  std::span<const std::byte> bytes = request_.source.InOnePart(at, length);
  const bool as_it_lies =
      bytes.size() == padded && reinterpret_cast<uintptr_t>(bytes.data()) % os::kDiskAlign == 0;
  if (!as_it_lies) {
    std::byte* to = scratch.data();
    request_.source.ForEachIn(at, length, [&](std::span<const std::byte> piece) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    });
    std::memset(to, 0, padded - length);
    bytes = scratch.first(padded);
  }
  head_.checksums[block] = BlockChecksum(bytes);
  Status written = part_->file().WriteAt(head_bytes_.bytes().size() + at, bytes);
  os::CrashPoint("spill.block_written");
  return written;
}

Status Writing::Finish() {
  os::CrashPoint("spill.blocks_written");
  EncodeHead(head_, head_bytes_.bytes());
  VY_RETURN_IF_ERROR(part_->file().WriteAt(0, head_bytes_.bytes()));
  os::CrashPoint("spill.head_written");
  return part_->Commit(request_.durability);
}

void Writing::End(Status status) {
  if (status.ok()) status = Finish();
  part_.reset();
  request_.source = {};
  head_bytes_ = {};
  if (!status.ok()) status = status.WithContext("spilling " + FileName(request_.key));
  std::exchange(done_, nullptr)(std::move(status));
}

}  // namespace

std::shared_ptr<Job> Write(std::shared_ptr<Place> place, Crew& crew, WriteRequest request,
                           std::function<void(Status)> done) {
  auto job = std::make_shared<Writing>(std::move(place), std::move(request), std::move(done));
  crew.Add(job, Urgency::kWrite);
  return job;
}

}  // namespace vineyard::spill
