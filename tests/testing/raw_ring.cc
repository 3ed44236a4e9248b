// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "testing/raw_ring.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::testing {

Bytes OpenRingFrame(uint64_t id) {
  return MakeFrame(fb::RequestBody::OpenRing,
                   [](Builder& b) { return fb::CreateOpenRing(b).Union(); }, {.id = id});
}

size_t MappedRings(pid_t pid) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("vineyard-ring") != std::string::npos) ++count;
  }
  return count;
}

RawRing::RawRing(RawClient& client, bool answer_here) {
  auto reply = client.Ask(OpenRingFrame());
  if (!reply || reply->fds.size() != 2) {
    ADD_FAILURE() << "no ring: " << (reply ? reply->body().message()->str() : "closed");
    std::abort();
  }
  file_ = std::move(reply->fds[0]);
  bell_ = std::move(reply->fds[1]);
  auto mapping = os::Mapping::Open(file_, layout::kRingFile, os::Access::kReadWrite);
  EXPECT_OK(mapping);
  mapping_ = std::move(*mapping);
  if (!answer_here) page().replies.sleeping = 1;
}

size_t RawRing::SendSome(std::span<const std::byte> bytes) {
  const uint64_t room = layout::kRequestRing - (written_ - page().requests.head);
  const auto now = bytes.first(std::min<size_t>(bytes.size(), room));
  if (now.empty()) return 0;
  Publish(now);
  RingBell();
  return now.size();
}

void RawRing::Send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t sent = SendSome(bytes);
    if (sent == 0) std::this_thread::yield();
    bytes = bytes.subspan(sent);
  }
}

void RawRing::Publish(std::span<const std::byte> bytes) {
  layout::CopyIn(layout::RequestBytes(mapping_.data()), written_, bytes);
  written_ += bytes.size();
  page().requests.tail = written_;
}

void RawRing::RingBell(uint64_t count) {
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &count, sizeof count);
}

}  // namespace vineyard::testing
