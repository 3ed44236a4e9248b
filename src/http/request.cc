// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/request.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace vineyard::http {

namespace {

namespace beast = boost::beast::http;
using Head = beast::request_header<>;

constexpr size_t kMaxTarget = 4096;
constexpr int kMaxFields = 100;
constexpr size_t kMaxParameters = 16;

constexpr Refusal kMalformed{400, "bad_request", "this is no request of HTTP/1.1"};
constexpr Refusal kBody{413, "too_long", "no request here has a body"};

// nullopt: a percent sign without two digits.
std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned char byte = 0;
    const auto [stop, error] = std::from_chars(digits.begin(), digits.end(), byte, 16);
    if (error != std::errc() || stop != digits.begin() + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

bool ReadQuery(std::string_view text, Request* request) {
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    if (request->query.size() >= kMaxParameters) return false;
    const size_t equals = pair.find('=');
    auto name = Decode(pair.substr(0, equals));
    auto value = Decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (!name || !value) return false;
    request->query.emplace_back(std::move(*name), std::move(*value));
  }
  return true;
}

std::optional<Refusal> ReadTarget(std::string_view target, Request* request) {
  if (target.size() > kMaxTarget) return Refusal{414, "too_long", "the target is too long"};
  // What else belongs into a target is written with percent signs.
  const bool is_ascii = std::ranges::all_of(target, [](char c) { return c > ' ' && c < '\x7f'; });
  if (!is_ascii || !target.starts_with('/')) return kMalformed;
  const size_t question = target.find('?');
  request->path = target.substr(0, question);
  if (question == std::string_view::npos || ReadQuery(target.substr(question + 1), request)) {
    return std::nullopt;
  }
  return Refusal{400, "bad_request", "the query cannot be read"};
}

std::optional<std::string> ValueOf(const Head& head, const char* name) {
  const auto field = head.find(name);
  if (field == head.end()) return std::nullopt;
  return std::string(field->value().data(), field->value().size());
}

std::optional<Refusal> ReadFields(const Head& head, Request* request) {
  if (std::distance(head.begin(), head.end()) > kMaxFields) {
    return Refusal{431, "too_long", "the head has too many fields"};
  }
  if (head.count("Transfer-Encoding") > 0) return kBody;
  // Each may come once, as what two of them mean is a matter of taste.
  for (const char* name :
       {"Host", "Origin", "Sec-Fetch-Site", "Authorization", "Connection", "Content-Length"}) {
    if (head.count(name) > 1) return kMalformed;
  }
  if (ValueOf(head, "Content-Length").value_or("0") != "0") return kBody;
  request->host = ValueOf(head, "Host").value_or("");
  if (request->host.empty()) return Refusal{400, "bad_request", "a request names its host"};
  request->origin = ValueOf(head, "Origin");
  request->fetch_site = ValueOf(head, "Sec-Fetch-Site");
  request->authorization = ValueOf(head, "Authorization");
  return std::nullopt;
}

// Beast knows no version at the end of the first line, or not the one there.
Refusal RefusalOfVersion(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  if (!version.starts_with("HTTP/") || version == "HTTP/1.1") return kMalformed;
  return Refusal{505, "not_supported", "only HTTP/1.1 is spoken here"};
}

}  // namespace

std::optional<std::string_view> Request::Parameter(std::string_view name) const {
  const auto found = std::ranges::find(
      query, name, [](const auto& pair) -> std::string_view { return pair.first; });
  if (found == query.end()) return std::nullopt;
  return found->second;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<size_t> EndOfHead(std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

std::optional<Refusal> ParseRequest(std::string_view bytes, Request* request) {
  *request = Request{};
  // To Beast a line that begins with a blank goes on the one before, by rules that are no more.
  if (bytes.contains("\r\n ") || bytes.contains("\r\n\t")) return kMalformed;
  beast::request_parser<beast::empty_body> parser;
  parser.header_limit(kMaxHead);
  parser.skip(true);  // no body follows: a head that promises one is refused
  boost::system::error_code error;
  const size_t read = parser.put(boost::asio::buffer(bytes), error);
  if (error == beast::error::bad_version) return RefusalOfVersion(bytes);
  if (error == beast::error::bad_content_length) return kBody;
  if (error == beast::error::bad_transfer_encoding) return kBody;
  if (error || read != bytes.size()) return kMalformed;

  const auto& message = parser.get();
  request->head_only = message.method() == beast::verb::head;
  if (!request->head_only && message.method() != beast::verb::get) {
    return Refusal{405, "method_not_allowed",
                   "nothing can be changed here: only GET and HEAD are answered"};
  }
  request->keep_alive = message.version() == 11 && message.keep_alive();
  if (auto refused = ReadTarget({message.target().data(), message.target().size()}, request)) {
    return refused;
  }
  return ReadFields(message, request);
}

}  // namespace vineyard::http
