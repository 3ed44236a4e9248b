// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RawClient: for tests, a client that may say anything, right or wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "messages_generated.h"
#include "os/fd.h"
#include "vineyard/status.h"
#include "wire/frame.h"

namespace vineyard::testing {

using Bytes = std::vector<std::byte>;
using Builder = flatbuffers::FlatBufferBuilder;
using MakeBody = std::function<flatbuffers::Offset<void>(Builder&)>;

struct FrameOptions {
  uint64_t id = 1;
  uint64_t acknowledged = 0;
  uint32_t fd_count = 0;
  std::span<const std::byte> payload;
};

/// A well-formed frame of a request.
Bytes MakeFrame(fb::RequestBody type, const MakeBody& body, const FrameOptions& options = {});

struct Token {
  uint64_t high = 0;
  uint64_t low = 0;
};
Token FreshToken();
Bytes HelloFrame(Token token, uint64_t first_number = 1, uint32_t protocol = 0);

/// An answer, whole and verified.
struct RawReply {
  uint64_t id = 0;
  std::vector<uint64_t> words;
  size_t body_size = 0;
  Bytes payload;
  std::vector<os::UniqueFd> fds;

  [[nodiscard]] const fb::Reply& body() const {
    return *flatbuffers::GetRoot<fb::Reply>(words.data());
  }
  [[nodiscard]] StatusCode code() const { return static_cast<StatusCode>(body().code()); }
};

class RawClient {
 public:
  /// Connected; with a token, it has said Hello too.
  explicit RawClient(const std::string& socket);
  RawClient(const std::string& socket, Token token, uint64_t first_number = 1);

  /// False when the other side has closed. Waits for room.
  bool Send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  /// What the socket takes now without waiting; 0 when it is full.
  size_t SendSome(std::span<const std::byte> bytes);
  /// Nothing more will come from here.
  void EndSending();
  /// The next answer; nullopt when the other side has closed.
  std::optional<RawReply> Receive();
  std::optional<RawReply> Ask(std::span<const std::byte> frame) {
    if (!Send(frame)) return std::nullopt;
    return Receive();
  }
  /// Reads until the other side closes: true. False if that does not happen.
  bool IsDropped();
  void Close() { socket_.Reset(); }

 private:
  os::UniqueFd socket_;
  wire::FrameReader reader_;
  std::vector<os::UniqueFd> fds_;
};

}  // namespace vineyard::testing
