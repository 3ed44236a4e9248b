// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/request.h"

#include <algorithm>
#include <utility>

namespace vineyard::http {

namespace {

constexpr size_t kMaxTarget = 4096;
constexpr size_t kMaxFields = 100;
constexpr size_t kMaxParameters = 16;

constexpr Refusal kMalformed{400, "bad_request", "this is no request of HTTP/1.1"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// What names of methods and fields are made of (RFC 9110, 5.6.2).
bool IsTokenCharacter(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') ||
         kMarks.find(c) != std::string_view::npos;
}
bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsTokenCharacter);
}

// Printable ASCII: what else belongs into a target is written with percent signs.
bool IsTargetCharacter(char c) { return c > ' ' && c < '\x7f'; }
bool IsValueCharacter(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}

std::string_view TrimBlanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (Lower(c) >= 'a' && Lower(c) <= 'f') return Lower(c) - 'a' + 10;
  return -1;
}

// nullopt: a percent sign without two digits.
std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
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

std::optional<Refusal> ReadRequestLine(std::string_view line, Request* request, bool* version_1_1) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return kMalformed;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method)) return kMalformed;
  if (target.size() > kMaxTarget) return Refusal{414, "too_long", "the target is too long"};
  if (!std::ranges::all_of(target, IsTargetCharacter)) return kMalformed;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (!version.starts_with("HTTP/")) return kMalformed;
    return Refusal{505, "not_supported", "only HTTP/1.1 is spoken here"};
  }
  if (method != "GET" && method != "HEAD") {
    return Refusal{405, "method_not_allowed",
                   "nothing can be changed here: only GET and HEAD are answered"};
  }
  if (!target.starts_with('/')) return kMalformed;
  *version_1_1 = version == "HTTP/1.1";
  request->head_only = method == "HEAD";
  const size_t question = target.find('?');
  request->path = target.substr(0, question);
  if (question == std::string_view::npos || ReadQuery(target.substr(question + 1), request)) {
    return std::nullopt;
  }
  return Refusal{400, "bad_request", "the query cannot be read"};
}

// Of the fields that mean something here; each may come once, as what two of them mean is a matter of taste.
class Fields {
 public:
  explicit Fields(Request* request) : request_(request) {}

  std::optional<Refusal> Take(std::string_view name, std::string_view value) {
    if (EqualsIgnoringCase(name, "host")) return Once(&host_, value);
    if (EqualsIgnoringCase(name, "origin")) return Once(&request_->origin, value);
    if (EqualsIgnoringCase(name, "sec-fetch-site")) return Once(&request_->fetch_site, value);
    if (EqualsIgnoringCase(name, "authorization")) return Once(&request_->authorization, value);
    if (EqualsIgnoringCase(name, "connection")) {
      if (std::exchange(says_connection_, true)) return kMalformed;
      closes_ = EqualsIgnoringCase(value, "close");
      return std::nullopt;
    }
    if (EqualsIgnoringCase(name, "transfer-encoding")) return kBody;
    if (EqualsIgnoringCase(name, "content-length")) {
      return value == "0" ? std::nullopt : std::optional<Refusal>(kBody);
    }
    return std::nullopt;
  }

  std::optional<Refusal> Finish(bool version_1_1) {
    if (!host_ || host_->empty()) return Refusal{400, "bad_request", "a request names its host"};
    request_->host = *host_;
    request_->keep_alive = version_1_1 && !closes_;
    return std::nullopt;
  }

 private:
  static constexpr Refusal kBody{413, "too_long", "no request here has a body"};

  static std::optional<Refusal> Once(std::optional<std::string_view>* field,
                                     std::string_view value) {
    if (field->has_value()) return kMalformed;
    *field = value;
    return std::nullopt;
  }

  Request* request_;
  std::optional<std::string_view> host_;
  bool says_connection_ = false;
  bool closes_ = false;
};

}  // namespace

std::optional<std::string_view> Request::Parameter(std::string_view name) const {
  const auto found = std::ranges::find(
      query, name, [](const auto& pair) -> std::string_view { return pair.first; });
  if (found == query.end()) return std::nullopt;
  return found->second;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

std::optional<size_t> EndOfHead(std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

std::optional<Refusal> ParseRequest(std::string_view head, Request* request) {
  *request = Request{};
  Fields fields(request);
  bool version_1_1 = false;
  std::optional<Refusal> refused;
  for (size_t number = 0;; ++number) {
    const size_t end = head.find("\r\n");
    if (end == std::string_view::npos) return kMalformed;
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (number == 0) {
      refused = ReadRequestLine(line, request, &version_1_1);
    } else if (line.empty()) {
      break;
    } else if (number > kMaxFields) {
      refused = Refusal{431, "too_long", "the head has too many fields"};
    } else {
      const size_t colon = line.find(':');
      const std::string_view name = line.substr(0, colon);
      const std::string_view value =
          colon == std::string_view::npos ? "" : TrimBlanks(line.substr(colon + 1));
      // A line that begins with a blank would go on the one before, by rules that are no more.
      const bool is_field = colon != std::string_view::npos && IsToken(name) &&
                            std::ranges::all_of(value, IsValueCharacter);
      refused = is_field ? fields.Take(name, value) : kMalformed;
    }
    if (refused) return refused;
  }
  return head.empty() ? fields.Finish(version_1_1) : kMalformed;
}

}  // namespace vineyard::http
