// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/guard.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "os/text_file.h"

namespace vineyard::http {

namespace {

constexpr size_t kLeastToken = 16;
constexpr size_t kMostToken = 1024;

// In a time that does not tell how much of it is right.
bool IsSameSecret(std::string_view given, std::string_view token) {
  unsigned difference = given.size() == token.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference |=
        static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(token[i % token.size()]);
  }
  return difference == 0;
}

}  // namespace

Result<std::string> ReadToken(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = os::ReadTextFile(path);
  if (!text.ok()) return text.status().WithContext("--http_token_file");
  const size_t first = text->find_first_not_of(" \t\r\n");
  std::string token = first == std::string::npos
                          ? ""
                          : text->substr(first, text->find_last_not_of(" \t\r\n") - first + 1);
  const bool printable = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  if (printable && token.size() >= kLeastToken && token.size() <= kMostToken) return token;
  return Status::Invalid(fmt::format(
      "--http_token_file: '{}' does not hold one word of {} to {} characters; write one with "
      "'openssl rand -hex 32'",
      path, kLeastToken, kMostToken));
}

// Note [Who asks]
bool Guard::IsOurs(std::string_view host) const {
  const std::string port = fmt::format(":{}", address_.port);
  const bool names_port = host.ends_with(port);
  if (names_port) host.remove_suffix(port.size());
  if (!names_port && address_.port != 80) return false;
  for (const std::string_view loopback : {"localhost", "127.0.0.1", "[::1]"}) {
    if (EqualsIgnoringCase(host, loopback)) return true;
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return address_.IsAny() ? os::IsIpAddress(host) : EqualsIgnoringCase(host, address_.host);
}

std::optional<Refusal> Guard::Check(const Request& request) const {
  if (!IsOurs(request.host)) {
    return Refusal{421, "misdirected",
                   "the request names another host than the address that is listened at"};
  }
  constexpr Refusal kForeign{403, "cross_site", "pages of other sites may not ask"};
  if (request.fetch_site && EqualsIgnoringCase(*request.fetch_site, "cross-site")) return kForeign;
  if (request.origin &&
      !EqualsIgnoringCase(*request.origin, fmt::format("http://{}", request.host))) {
    return kForeign;
  }
  return std::nullopt;
}

std::optional<Refusal> Guard::CheckToken(const Request& request) const {
  if (token_.empty()) return std::nullopt;
  constexpr std::string_view kScheme = "bearer ";
  const std::string credentials = request.authorization.value_or("");
  const std::string_view given = credentials;
  if (given.size() > kScheme.size() &&
      EqualsIgnoringCase(given.substr(0, kScheme.size()), kScheme) &&
      IsSameSecret(given.substr(kScheme.size()), token_)) {
    return std::nullopt;
  }
  return Refusal{401, "unauthorized",
                 "say what the instance's token file holds: Authorization: Bearer TOKEN"};
}

}  // namespace vineyard::http
