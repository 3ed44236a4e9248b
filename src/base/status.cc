// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/status.h"

#include <cstdio>

namespace vineyard {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInvalid: return "invalid";
    case StatusCode::kNotFound: return "not found";
    case StatusCode::kAlreadyExists: return "already exists";
    case StatusCode::kOutOfMemory: return "out of memory";
    case StatusCode::kDeadlineExceeded: return "deadline exceeded";
    case StatusCode::kUnavailable: return "unavailable";
    case StatusCode::kPermissionDenied: return "permission denied";
    case StatusCode::kNotSupported: return "not supported";
    case StatusCode::kNeedsCluster: return "needs a cluster";
    case StatusCode::kCorrupted: return "corrupted";
    case StatusCode::kConflict: return "conflict";
    case StatusCode::kFailedPrecondition: return "failed precondition";
    case StatusCode::kInternal: return "internal error";
    case StatusCode::kIOError: return "i/o error";
    case StatusCode::kCancelled: return "cancelled";
    case StatusCode::kLimitExceeded: return "limit exceeded";
    case StatusCode::kTypeMismatch: return "type mismatch";
    case StatusCode::kProtocol: return "protocol error";
  }
  return "unknown code";
}

Status::Status(StatusCode code, std::string message) {
  if (code != StatusCode::kOk) rep_ = std::make_unique<Rep>(code, std::move(message));
}

Status::Status(const Status& other)
    : rep_(other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) rep_ = other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr;
  return *this;
}

const std::string& Status::message() const {
  static const std::string kEmpty;
  return rep_ ? rep_->message : kEmpty;
}

std::string Status::ToString() const {
  std::string text(StatusCodeName(code()));
  if (rep_ && !rep_->message.empty()) text.append(": ").append(rep_->message);
  return text;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return {};
  return {code(), std::string(context).append(": ").append(message())};
}

void CheckFailed(const char* file, int line, const char* what, const std::string& detail) {
  std::fprintf(stderr, "vineyard: broken contract at %s:%d: %s%s%s\n", file, line, what,
               detail.empty() ? "" : ": ", detail.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace vineyard
