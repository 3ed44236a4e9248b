// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// PreparedPut: what a put sends, made from its builder.
#pragma once

#include <span>
#include <vector>

#include "client/connection.h"
#include "client/in_place.h"
#include "vineyard/client.h"
#include "vineyard/object.h"

namespace vineyard::client {

/// A put's own bytes: where each buffer lies in them.
struct OwnBytes {
  struct Piece {
    std::span<const std::byte> bytes;
    uint64_t offset;
  };
  std::vector<Piece> pieces;
  uint64_t size = 0;   // with the gaps between them
  uint64_t bytes = 0;  // without

  /// Where they begin.
  uint64_t Add(std::span<const std::byte> added);
};

/// A put, ready to be sent. What it refers to is the caller's and its own: it stays where it is.
struct PreparedPut {
  std::vector<std::byte> descriptor;
  OwnBytes own;
  InPlace in_place;
  std::vector<fb::Token> siblings;  // see InPlace
  bool small = false;               // its bytes go with the request
  PutOptions options;
  os::TimePoint deadline;

  /// With the bytes themselves, or the reservation that they lie in.
  [[nodiscard]] Outgoing Request(ObjectId reservation) const;
};

/// REQUIRES: put->options and put->deadline are set. What the builder refers to must outlive the put.
Status Prepare(Connection& connection, const ObjectBuilder& builder, PreparedPut* put);
/// What the answer to a put says.
Result<ObjectId> IdOf(const Result<Answer>& answer);

/// Sends it, and waits for the answer. REQUIRES: prepared from `builder`. (writer.cc)
Result<ObjectId> SendPut(Connection& connection, const ObjectBuilder& builder, PreparedPut* put);

}  // namespace vineyard::client
