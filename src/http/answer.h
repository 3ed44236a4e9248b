// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Answer: what is sent for a request: a status, a type and a body that several answers may share.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/request.h"

namespace vineyard::http {

using Body = std::shared_ptr<const std::string>;

struct Answer {
  int status = 200;
  std::string_view type = "application/json; charset=utf-8";
  Body body;                    ///< null: none
  std::string_view extra = {};  ///< more lines of the head, each with its end
};

Answer JsonAnswer(std::string json);
Answer TextAnswer(int status, std::string text);
/// {"error": {"code": …, "message": …}}
Answer ErrorAnswer(int status, std::string_view code, std::string_view message);
inline Answer ErrorAnswer(const Refusal& refusal) {
  return ErrorAnswer(refusal.status, refusal.code, refusal.why);
}

/// All before the body. `unix_seconds`: now.
std::string HeadOf(const Answer& answer, bool keep_alive, int64_t unix_seconds);

/// The text as a string of JSON, quoted. What is not UTF-8 in it is replaced.
std::string JsonString(std::string_view text);

}  // namespace vineyard::http
