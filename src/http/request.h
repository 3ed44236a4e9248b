// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Request: the head of an HTTP/1.1 request. Boost.Beast reads it. A server that only answers questions needs a small part
// of the protocol: GET and HEAD, no bodies, no ranges, no paths that mean a file. What is not in that part is refused
// here, before anything looks at it, and so is what Beast takes in good part although others might read it otherwise: two
// readings of one head are how requests are smuggled.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vineyard::http {

/// A head is no longer than this, the empty line at its end included.
inline constexpr size_t kMaxHead = size_t{16} << 10;

struct Request {
  bool head_only = false;   ///< HEAD: the same answer without its body
  bool keep_alive = false;  ///< the connection may be used again
  std::string path;         ///< as it was sent: nothing is decoded in it
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded
  std::string host;
  std::optional<std::string> origin;
  std::optional<std::string> fetch_site;  ///< Sec-Fetch-Site
  std::optional<std::string> authorization;

  /// The first of that name.
  [[nodiscard]] std::optional<std::string_view> Parameter(std::string_view name) const;
};

struct Refusal {
  int status = 0;  ///< of HTTP
  std::string_view code;
  std::string_view why;
};

/// Where the head in these bytes ends; nullopt: more is to come.
std::optional<size_t> EndOfHead(std::string_view bytes);

/// `bytes` are all up to and with its empty line. nullopt: it is a request; else why it is none, and the connection is to
/// be closed, as nobody knows where the next one would begin.
std::optional<Refusal> ParseRequest(std::string_view bytes, Request* request);

/// The same without regard to the case of ASCII letters.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

}  // namespace vineyard::http
