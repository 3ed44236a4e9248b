// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Guard: which requests are answered at all. An instance listens for its own machine, and on that machine runs a browser
// with pages of strangers in it, so a connection from loopback proves nothing.
//
// Note [Who asks]
//
// * A page elsewhere that has a name of its own resolve to our address (DNS rebinding) is, to the browser, of the same
//   origin as we are. It can't help naming itself in Host: whatever is not this address is refused. Where we listen at
//   all addresses, any in numbers will do, as a name is what that trick needs.
// * Other pages say so in Sec-Fetch-Site, or Origin. They could not read an answer anyhow: none ever allows it.
// * Programs of other users of the machine, or other machines, are told apart by the token only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/request.h"
#include "os/tcp.h"
#include "vineyard/status.h"

namespace vineyard::http {

/// What a token file holds, short of blanks at its ends: at least 16 printable characters, none a blank. An empty path:
/// an empty token.
Result<std::string> ReadToken(const std::string& path);

class Guard {
 public:
  /// `token` empty: everybody may ask.
  Guard(os::TcpAddress address, std::string token)
      : address_(std::move(address)), token_(std::move(token)) {}

  /// Of every request: whether it was meant for us.
  [[nodiscard]] std::optional<Refusal> Check(const Request& request) const;
  /// Of one that asks for what the instance holds.
  [[nodiscard]] std::optional<Refusal> CheckToken(const Request& request) const;

 private:
  [[nodiscard]] bool IsOurs(std::string_view host) const;

  os::TcpAddress address_;
  std::string token_;
};

}  // namespace vineyard::http
