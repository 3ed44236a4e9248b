// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Status and Result: how every function of Vineyard that can fail says so.
//
// A Status is one pointer wide; null means OK, so success costs nothing. A Result<T> is a T or a
// Status that is not OK. Both are [[nodiscard]]. No exception leaves a function of this library.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace vineyard {

/// What went wrong, in terms of what the caller may do. The numbers cross the wire and never change.
enum class StatusCode : uint8_t {
  kOk = 0,
  kInvalid = 1,           ///< An argument has no meaning here. Mend the call.
  kNotFound = 2,          ///< No such object, blob, name or volume (any more).
  kAlreadyExists = 3,     ///< The name is taken. Choose another, or say that it may be replaced.
  kOutOfMemory = 4,       ///< Does not fit: never (larger than the limit) or not by the deadline.
  kDeadlineExceeded = 5,  ///< The time given ran out. The call may be repeated.
  kUnavailable = 6,       ///< No instance answers at the socket. Start one, or name another.
  kPermissionDenied = 7,  ///< The socket, or this user, may not do that.
  kNotSupported = 8,      ///< Understood, but not built. The message says what to do instead.
  kNeedsCluster = 9,      ///< Has a meaning only with other instances; this one runs alone.
  kCorrupted = 10,        ///< Bytes that were read contradict themselves. Nothing was served.
  kConflict = 11,         ///< A compare-and-set saw another version. Read again, then repeat.
  kFailedPrecondition = 12,  ///< Not in the present state (sealed already, still referred to, …).
  kInternal = 13,            ///< A fault of ours. Please report the message.
  kIOError = 14,             ///< A system call failed for a reason outside the store.
  kCancelled = 15,           ///< The caller, or the end of the process, called it off.
  kLimitExceeded = 16,       ///< A limit other than memory: message size, connections, descriptors.
  kTypeMismatch = 17,        ///< The object is of another type than the one asked for.
  kProtocol = 18,            ///< The peer speaks another version, or no sense at all.
};

/// "not found", "out of memory", …: the code in words, for messages and logs.
std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message);

  static Status OK() { return {}; }
  static Status Invalid(std::string m) { return {StatusCode::kInvalid, std::move(m)}; }
  static Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
  static Status AlreadyExists(std::string m) { return {StatusCode::kAlreadyExists, std::move(m)}; }
  static Status OutOfMemory(std::string m) { return {StatusCode::kOutOfMemory, std::move(m)}; }
  static Status DeadlineExceeded(std::string m) {
    return {StatusCode::kDeadlineExceeded, std::move(m)};
  }
  static Status Unavailable(std::string m) { return {StatusCode::kUnavailable, std::move(m)}; }
  static Status PermissionDenied(std::string m) {
    return {StatusCode::kPermissionDenied, std::move(m)};
  }
  static Status NotSupported(std::string m) { return {StatusCode::kNotSupported, std::move(m)}; }
  static Status NeedsCluster(std::string m) { return {StatusCode::kNeedsCluster, std::move(m)}; }
  static Status Corrupted(std::string m) { return {StatusCode::kCorrupted, std::move(m)}; }
  static Status Conflict(std::string m) { return {StatusCode::kConflict, std::move(m)}; }
  static Status FailedPrecondition(std::string m) {
    return {StatusCode::kFailedPrecondition, std::move(m)};
  }
  static Status Internal(std::string m) { return {StatusCode::kInternal, std::move(m)}; }
  static Status IOError(std::string m) { return {StatusCode::kIOError, std::move(m)}; }
  static Status Cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
  static Status LimitExceeded(std::string m) { return {StatusCode::kLimitExceeded, std::move(m)}; }
  static Status TypeMismatch(std::string m) { return {StatusCode::kTypeMismatch, std::move(m)}; }
  static Status Protocol(std::string m) { return {StatusCode::kProtocol, std::move(m)}; }

  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other);
  Status& operator=(const Status& other);
  ~Status() = default;

  [[nodiscard]] bool ok() const { return rep_ == nullptr; }
  [[nodiscard]] StatusCode code() const { return rep_ ? rep_->code : StatusCode::kOk; }
  [[nodiscard]] const std::string& message() const;
  /// "not found: no object o00…2a in volume 'default'"
  [[nodiscard]] std::string ToString() const;

  [[nodiscard]] bool Is(StatusCode c) const { return code() == c; }

  /// The same failure, with where it happened put before its message. No effect on OK.
  [[nodiscard]] Status WithContext(std::string_view context) const;

  /// For the few places where a failure changes nothing, and a comment says why.
  void IgnoreError() const {}

 private:
  struct Rep {
    StatusCode code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;  // null: OK
};
static_assert(sizeof(Status) == sizeof(void*), "OK must cost one null pointer");

/// Prints to stderr what was broken and where, then aborts. For broken contracts only, never for
/// bytes that came from outside the process.
[[noreturn]] void CheckFailed(const char* file, int line, const char* what,
                              const std::string& detail = {});

/// A T, or why there is none. `value()` on a failure is a broken contract and aborts.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {  // NOLINT: implicit
    if (std::get<0>(state_).ok()) CheckFailed(__FILE__, __LINE__, "Result made of an OK Status");
  }
  template <typename U = T>
    requires(!std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Status> && std::is_constructible_v<T, U &&>)
  Result(U&& value)  // NOLINT: implicit
      : state_(std::in_place_index<1>, std::forward<U>(value)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 1; }
  [[nodiscard]] Status status() const& { return ok() ? Status() : std::get<0>(state_); }
  [[nodiscard]] Status status() && { return ok() ? Status() : std::move(std::get<0>(state_)); }

  T& value() & {
    Require();
    return *std::get_if<1>(&state_);
  }
  const T& value() const& {
    Require();
    return *std::get_if<1>(&state_);
  }
  T&& value() && {
    Require();
    return std::move(*std::get_if<1>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void Require() const {
    if (!ok()) CheckFailed(__FILE__, __LINE__, "value() of a failed Result", status().ToString());
  }
  std::variant<Status, T> state_;
};

}  // namespace vineyard

#define VY_CONCAT_INNER(a, b) a##b
#define VY_CONCAT(a, b) VY_CONCAT_INNER(a, b)

/// Leaves the function with the Status of `expr` unless it is OK.
#define VY_RETURN_IF_ERROR(expr)            \
  do {                                      \
    ::vineyard::Status vy_status_ = (expr); \
    if (!vy_status_.ok()) [[unlikely]]      \
      return vy_status_;                    \
  } while (false)

/// `VY_ASSIGN_OR_RETURN(auto x, F());`: x is F's value, or the function is left with its Status.
#define VY_ASSIGN_OR_RETURN(lhs, expr) \
  VY_ASSIGN_OR_RETURN_IMPL(VY_CONCAT(vy_result_, __LINE__), lhs, expr)
#define VY_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                             \
  if (!result.ok()) [[unlikely]]                    \
    return std::move(result).status();              \
  lhs = std::move(result).value()

/// Ends the process when a contract between our own functions is broken.
#define VY_CHECK(condition) \
  ((condition) ? (void)0 : ::vineyard::CheckFailed(__FILE__, __LINE__, #condition))
#ifdef NDEBUG
#define VY_DCHECK(condition) ((void)0)
#else
#define VY_DCHECK(condition) VY_CHECK(condition)
#endif
