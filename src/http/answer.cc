// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/answer.h"

#include <array>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vineyard::http {

namespace {

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 421: return "Misdirected Request";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Answer";
  }
}

std::string_view ExtraOf(int status) {
  switch (status) {
    case 401: return "WWW-Authenticate: Bearer\r\n";
    case 405: return "Allow: GET, HEAD\r\n";
    case 503: return "Retry-After: 1\r\n";
    default: return "";
  }
}

// In English whatever the locale.
std::string Date(int64_t unix_seconds) {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t when = unix_seconds;
  std::tm tm{};
  ::gmtime_r(&when, &tm);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays.at(static_cast<size_t>(tm.tm_wday)), tm.tm_mday,
                     kMonths.at(static_cast<size_t>(tm.tm_mon)), 1900 + tm.tm_year, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
}

}  // namespace

Answer JsonAnswer(std::string json) {
  return {.body = std::make_shared<const std::string>(std::move(json))};
}

Answer TextAnswer(int status, std::string text) {
  return {.status = status,
          .type = "text/plain; charset=utf-8",
          .body = std::make_shared<const std::string>(std::move(text))};
}

Answer ErrorAnswer(int status, std::string_view code, std::string_view message) {
  Answer answer = JsonAnswer(fmt::format("{{\"error\": {{\"code\": {}, \"message\": {}}}}}\n",
                                         JsonString(code), JsonString(message)));
  answer.status = status;
  return answer;
}

std::string HeadOf(const Answer& answer, bool keep_alive, int64_t unix_seconds) {
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\n"
      "Date: {}\r\n"
      "Cache-Control: no-store\r\n"
      "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src "
      "'self' data:; "
      "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Referrer-Policy: no-referrer\r\n"
      "{}{}",
      answer.status, ReasonOf(answer.status), Date(unix_seconds), ExtraOf(answer.status),
      answer.extra);
  if (answer.status != 304) {
    fmt::format_to(std::back_inserter(head), "Content-Type: {}\r\nContent-Length: {}\r\n",
                   answer.type, answer.body ? answer.body->size() : 0);
  }
  head += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

std::string JsonString(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace vineyard::http
