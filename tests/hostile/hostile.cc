// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "hostile/hostile.h"

#include <fstream>

#include <fmt/format.h>

#include "base/testing.h"
#include "wire/codec.h"

namespace vineyard::testing {

Bytes StatusFrame(uint64_t id) {
  return MakeFrame(fb::RequestBody::GetStatus,
                   [](Builder& b) { return fb::CreateGetStatus(b).Union(); }, {.id = id});
}

Bytes PutFrame(const PutFields& put, const FrameOptions& options) {
  ObjectInfo info;
  info.type_name = put.type_name;
  info.metadata = "{}";
  info.buffers = put.buffers;
  info.members = put.members;
  Bytes payload = put.kind == fb::PutKind::Object ? wire::EncodeDescriptor(info) : Bytes();
  const size_t descriptor = payload.size();
  payload.resize(wire::Pad8(descriptor));
  payload.insert(payload.end(), put.bytes.begin(), put.bytes.end());
  FrameOptions with_payload = options;
  with_payload.payload = payload;
  return MakeFrame(
      fb::RequestBody::Put,
      [&](Builder& b) {
        const auto name = put.name.empty() ? flatbuffers::Offset<flatbuffers::String>()
                                           : b.CreateString(put.name);
        return fb::CreatePut(b, put.number, put.kind, put.descriptor_length.value_or(descriptor),
                             put.bytes_length.value_or(put.bytes.size()), put.reservation,
                             put.size.value_or(put.bytes.size()), name, false, 0, put.timeout_ms,
                             b.CreateVector(put.also), 0, 0, b.CreateVectorOfStructs(put.siblings))
            .Union();
      },
      with_payload);
}

Bytes GetByNameFrame(const std::string& name, bool wait, uint64_t id) {
  return MakeFrame(
      fb::RequestBody::Get,
      [&](Builder& b) {
        return fb::CreateGet(b, 0, b.CreateString(name), wait, 3'600'000, false).Union();
      },
      {.id = id});
}

Bytes ReserveFrame(uint64_t size) {
  return MakeFrame(fb::RequestBody::Reserve,
                   [&](Builder& b) { return fb::CreateReserve(b, size, 1000).Union(); });
}

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

Hostile::Hostile() : client_(daemon_.Connect()) {
  auto small = PutPattern(client_, 1, kSmall, "small");
  auto large = PutPattern(client_, 2, kLarge, "large");
  EXPECT_OK(small);
  EXPECT_OK(large);
  if (large.ok()) large_ = *large;
}

void Hostile::ExpectUnharmed() {
  EXPECT_TRUE(HoldsPattern(client_.Get("small"), 1, kSmall));
  Client other = daemon_.Connect();
  EXPECT_TRUE(HoldsPattern(other.Get("large"), 2, kLarge));
  auto id = PutPattern(other, 3, kLarge);
  ASSERT_OK(id);
  EXPECT_TRUE(HoldsPattern(client_.Get(*id), 3, kLarge));
  ASSERT_OK(client_.Delete({*id}));
  auto status = other.GetStatus();
  ASSERT_OK(status);
  EXPECT_EQ(status->generation, 1U) << "the engine has died";
}

}  // namespace vineyard::testing
