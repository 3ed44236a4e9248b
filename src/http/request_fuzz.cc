// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Heads of any bytes: they are read or refused, and what is read can be read in one way only.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/guard.h"
#include "http/request.h"
#include "os/tcp.h"
#include "vineyard/status.h"

namespace {

// No line ends but by a carriage return and a line feed, and none but the last is empty or begins with a blank.
void CheckLines(std::string_view head) {
  VY_CHECK(head.find('\0') == std::string_view::npos);
  while (!head.empty()) {
    const size_t end = head.find_first_of("\r\n");
    VY_CHECK(head.substr(end).starts_with("\r\n"));
    VY_CHECK(end == 0 ? head.size() == 2 : head[0] != ' ' && head[0] != '\t');
    head.remove_prefix(end + 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vineyard::http::ParseRequest;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto end = vineyard::http::EndOfHead(bytes);
  if (!end) return 0;
  VY_CHECK(*end <= size && *end >= 4);
  vineyard::http::Request request;
  if (ParseRequest(bytes.substr(0, *end), &request)) return 0;
  VY_CHECK(request.path.starts_with('/') && !request.host.empty());
  VY_CHECK(request.path.find_first_of(std::string_view("\0\r\n ", 4)) == std::string_view::npos);
  CheckLines(bytes.substr(0, *end));
  // The same again, and the guard may think of it what it likes.
  vineyard::http::Request again;
  VY_CHECK(!ParseRequest(bytes.substr(0, *end), &again) && again.path == request.path);
  const vineyard::http::Guard guard({.host = "127.0.0.1", .port = 80}, "0123456789abcdef");
  const bool right = !guard.CheckToken(request).has_value();
  VY_CHECK(!right || request.authorization->ends_with("0123456789abcdef"));
  return guard.Check(request) ? 0 : 0;
}
