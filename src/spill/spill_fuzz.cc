// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arbitrary bytes as a spill file's head, its name, and the file that says whose a folder is. The first byte
// says whether the head's checksum and the length of its file are made right, so that what lies behind
// them is reached too.
#include <cstring>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "os/disk_file.h"
#include "spill/format.h"

namespace vineyard::spill {
namespace {

constexpr uint8_t kMendChecksum = 1;
constexpr uint8_t kMendLength = 2;

template <typename Number>
Number At(const std::vector<std::byte>& bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

void TryHead(uint8_t mend, std::vector<std::byte> bytes) {
  uint64_t file_length = bytes.size();
  if (bytes.size() >= kFixedHead) {
    const auto size = At<uint64_t>(bytes, 0x30);
    const auto description = At<uint32_t>(bytes, 0x44);
    const bool sane = size <= kMostData && description <= kMostDescription;
    if ((mend & kMendLength) != 0 && sane) {
      const uint64_t head = HeadLength(description, size);
      if (head <= (1 << 20)) bytes.resize(head);
      std::memcpy(bytes.data() + 0x38, &head, sizeof head);
      file_length = FileLength(description, size);
    }
    if ((mend & kMendChecksum) != 0) {
      const uint64_t sum = HeadChecksum(bytes);
      std::memcpy(bytes.data() + kFixedHead - 8, &sum, sizeof sum);
    }
  }
  const auto first = std::span(bytes).first(std::min<size_t>(bytes.size(), os::kDiskAlign));
  const auto length = ReadHeadLength(first, file_length);
  const auto head = DecodeHead(bytes, file_length);
  if (!head.ok()) return;
  // What passes for a head is one: written again it is the same.
  VY_CHECK(length.ok() && *length == bytes.size());
  std::vector<std::byte> again(bytes.size());
  EncodeHead(*head, again);
  VY_CHECK(again == bytes);
  for (uint64_t block = 0; block < head->checksums.size(); ++block) {
    VY_CHECK(BlockLength(head->size, block) > 0);
    VY_CHECK(PaddedBlockLength(head->size, block) <= kBlock);
  }
}

void TryName(std::string_view text) {
  const auto parsed = ParseName(text);
  if (!parsed) return;
  VY_CHECK((parsed->part ? PartName(parsed->key) : FileName(parsed->key)) == text);
}

void TryIdentity(uint8_t mend, std::vector<std::byte> bytes) {
  if ((mend & kMendChecksum) != 0 && bytes.size() == kIdentityLength) {
    const uint64_t sum = HashBytes(std::span(bytes).first(kIdentityLength - 8));
    std::memcpy(bytes.data() + kIdentityLength - 8, &sum, sizeof sum);
  }
  const auto uuid = DecodeIdentity(bytes);
  if (!uuid.ok()) return;
  std::array<std::byte, kIdentityLength> again;
  EncodeIdentity(*uuid, again);
  VY_CHECK(std::ranges::equal(again, bytes));
}

}  // namespace
}  // namespace vineyard::spill

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::spill;
  if (size == 0) return 0;
  const auto* begin = reinterpret_cast<const std::byte*>(data) + 1;
  const std::vector<std::byte> bytes(begin, begin + size - 1);
  TryHead(data[0], bytes);
  TryName({reinterpret_cast<const char*>(data) + 1, size - 1});
  TryIdentity(data[0], bytes);
  return 0;
}
