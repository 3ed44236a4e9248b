// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Ring: the engine's end of the rings it shares with one client (layout/ring.h).
//
// Owned by the Connection, on the engine's thread. The client can write to all of it at any time:
// positions are checked, and requests are copied out before they are looked at.
#pragma once

#define ASIO_STANDALONE
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "layout/ring.h"
#include "os/mapping.h"
#include "wire/frame.h"

namespace vineyard::daemon {

struct Ring {
  Ring(asio::io_context& io, os::Mapping m)
      : mapping(std::move(m)), bell(io), page(*reinterpret_cast<layout::RingPage*>(mapping.data())),
        requests(page.requests, layout::kRequestRing), replies(page.replies, layout::kReplyRing) {}

  os::Mapping mapping;
  asio::posix::stream_descriptor
      bell;  // rung by the client when it has published and this end sleeps
  layout::RingPage& page;
  layout::RingConsumer<> requests;
  layout::RingProducer<> replies;
  wire::FrameReader reader;
  size_t unpublished = 0;    // bytes of answers
  bool more_follow = false;  // answers, to requests that came together: published together
  bool in_use =
      false;  // a request has come through it: before, its client may not know that it has one
};

}  // namespace vineyard::daemon
