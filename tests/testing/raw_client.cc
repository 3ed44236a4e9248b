// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "testing/raw_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/socket.h"
#include "wire/codec.h"

namespace vineyard::testing {

namespace {

os::TimePoint Late() { return os::Clock::now() + std::chrono::minutes(3); }

void Append(Bytes& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
  to.resize(wire::Pad8(to.size()));
}

}  // namespace

Bytes MakeFrame(fb::RequestBody type, const MakeBody& body, const FrameOptions& options) {
  Builder builder;
  const auto made = body(builder);
  builder.Finish(fb::CreateRequest(builder, type, made));
  wire::FrameHeader header;
  header.request_id = options.id;
  header.acknowledged = options.acknowledged;
  header.body_length = builder.GetSize();
  header.payload_length = options.payload.size();
  header.fd_count = options.fd_count;
  Bytes frame;
  Append(frame, std::as_bytes(std::span(&header, 1)));
  Append(frame, std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
  Append(frame, options.payload);
  return frame;
}

Token FreshToken() {
  std::random_device random;
  return {uint64_t{random()} << 32 | random(), uint64_t{random()} << 32 | random()};
}

Bytes HelloFrame(Token token, uint64_t first_number, uint32_t protocol) {
  return MakeFrame(fb::RequestBody::Hello, [&](Builder& b) {
    const fb::Token t(token.high, token.low);
    return fb::CreateHello(b, protocol == 0 ? wire::kProtocolVersion : protocol, &t, first_number)
        .Union();
  });
}

RawClient::RawClient(const std::string& socket) {
  auto connected = os::ConnectUnix(socket);
  EXPECT_OK(connected);
  if (connected.ok()) socket_ = std::move(*connected);
}

RawClient::RawClient(const std::string& socket, Token token, uint64_t first_number)
    : RawClient(socket) {
  const auto welcome = Ask(HelloFrame(token, first_number));
  EXPECT_TRUE(welcome.has_value());
  if (welcome) {
    EXPECT_EQ(welcome->code(), StatusCode::kOk) << welcome->body().message()->str();
  }
}

size_t RawClient::SendSome(std::span<const std::byte> bytes) {
  const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  auto sent = os::SendSome(socket_, std::span(&part, 1), {});
  return sent.ok() ? *sent : 0;
}

bool RawClient::Send(std::span<const std::byte> bytes, std::span<const int> fds) {
  while (!bytes.empty()) {
    const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    auto sent = os::SendSome(socket_, std::span(&part, 1), fds);
    if (!sent.ok()) return false;
    if (*sent == 0) {
      if (!os::WaitReady(socket_, os::Readiness::kWrite, Late(), {}).ok()) return false;
      continue;
    }
    bytes = bytes.subspan(*sent);
    fds = {};
  }
  return true;
}

void RawClient::EndSending() { ::shutdown(socket_.get(), SHUT_WR); }

std::optional<RawReply> RawClient::Receive() {
  while (true) {
    auto next = reader_.Next();
    EXPECT_OK(next);
    if (!next.ok()) return std::nullopt;
    if (next->has_value()) {
      const wire::Frame& frame = **next;
      RawReply reply;
      reply.id = frame.header.request_id;
      reply.body_size = frame.body.size();
      reply.words.resize(frame.body.size() / 8 + 1);
      std::memcpy(reply.words.data(), frame.body.data(), frame.body.size());
      reply.payload.assign(frame.payload.begin(), frame.payload.end());
      const auto end = fds_.begin() +
                       static_cast<ptrdiff_t>(std::min<size_t>(frame.header.fd_count, fds_.size()));
      std::move(fds_.begin(), end, std::back_inserter(reply.fds));
      fds_.erase(fds_.begin(), end);
      const auto* bytes = reinterpret_cast<const std::byte*>(reply.words.data());
      EXPECT_OK(wire::DecodeReply({bytes, reply.body_size}));
      return reply;
    }
    const std::span<std::byte> space = reader_.Space();
    auto got = os::ReceiveSome(socket_, space, &fds_);
    if (!got.ok() || got->closed) return std::nullopt;
    if (got->would_block) {
      const Status ready = os::WaitReady(socket_, os::Readiness::kRead, Late(), {});
      EXPECT_OK(ready);
      if (!ready.ok()) return std::nullopt;
      continue;
    }
    reader_.Filled(got->bytes);
  }
}

bool RawClient::IsDropped() {
  Bytes buffer(size_t{1} << 16);
  while (true) {
    auto got = os::ReceiveSome(socket_, buffer, &fds_);
    fds_.clear();
    if (!got.ok() || got->closed) return true;
    if (got->would_block && !os::WaitReady(socket_, os::Readiness::kRead, Late(), {}).ok()) {
      return false;
    }
  }
}

}  // namespace vineyard::testing
