// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of what clients do that no client should: frames that say anything, and an instance that
// must not mind them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "testing/raw_client.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {

// ---- frames

Bytes StatusFrame(uint64_t id = 1);

struct PutFields {
  uint64_t number = 1;
  std::string name;
  std::vector<std::byte> bytes = Pattern(1, 100);
  std::vector<BufferRef> buffers = {{ObjectId(), 0, 100}};
  std::vector<Member> members;
  std::string type_name = "test";
  uint64_t reservation = 0;
  std::vector<uint64_t> also;
  std::vector<fb::Token> siblings;
  fb::PutKind kind = fb::PutKind::Object;
  uint64_t timeout_ms = 1000;
  // What the frame says, where it lies.
  std::optional<uint64_t> descriptor_length;
  std::optional<uint64_t> bytes_length;
  std::optional<uint64_t> size;
};
Bytes PutFrame(const PutFields& put, const FrameOptions& options = {});

Bytes GetByNameFrame(const std::string& name, bool wait, uint64_t id = 1);
Bytes ReserveFrame(uint64_t size);

// ---- the instance

/// Without shared memory, which is the data.
uint64_t ResidentBytes(pid_t pid);

/// An instance with the objects "small" and "large", patterns 1 and 2.
class Hostile : public ::testing::Test {
 protected:
  Hostile();

  /// Everyone else is served, by the engine that there was all along.
  void ExpectUnharmed();
  RawClient Raw() { return RawClient(daemon_.socket(), FreshToken()); }

  TestDaemon daemon_;
  Client client_;
  ObjectId large_;
};

}  // namespace vineyard::testing
