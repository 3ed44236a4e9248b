// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <algorithm>
#include <cmath>

#include "bindings.h"

namespace vineyard::python {
namespace {

/// The class in vineyard.errors; no default, so that a new code does not compile without a line here.
const char* ExceptionName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: break;
    case StatusCode::kInvalid: return "InvalidException";
    case StatusCode::kNotFound: return "ObjectNotExistsException";
    case StatusCode::kAlreadyExists: return "ObjectExistsException";
    case StatusCode::kOutOfMemory: return "NotEnoughMemoryException";
    case StatusCode::kDeadlineExceeded: return "TimeoutException";
    case StatusCode::kUnavailable: return "ConnectionFailedException";
    case StatusCode::kPermissionDenied: return "PermissionDeniedException";
    case StatusCode::kNotSupported: return "NotImplementedException";
    case StatusCode::kNeedsCluster: return "NeedsClusterException";
    case StatusCode::kCorrupted: return "CorruptedException";
    case StatusCode::kConflict: return "ConflictException";
    case StatusCode::kFailedPrecondition: return "FailedPreconditionException";
    case StatusCode::kInternal: return "UnknownErrorException";
    case StatusCode::kIOError: return "IOErrorException";
    case StatusCode::kCancelled: return "CancelledException";
    case StatusCode::kLimitExceeded: return "LimitExceededException";
    case StatusCode::kTypeMismatch: return "ObjectTypeErrorException";
    case StatusCode::kProtocol: return "ConnectionErrorException";
  }
  return "UnknownErrorException";
}

}  // namespace

nb::object ToException(const Status& status) {
  nb::object type = nb::module_::import_("vineyard.errors").attr(ExceptionName(status.code()));
  return type(ToStr(status.message()));
}

void Raise(const Status& status) {
  // A signal that came while the call waited goes first: Ctrl-C is KeyboardInterrupt.
  if (PyErr_Occurred() != nullptr || PyErr_CheckSignals() != 0) throw nb::python_error();
  nb::object type = nb::module_::import_("vineyard.errors").attr(ExceptionName(status.code()));
  PyErr_SetObject(type.ptr(), ToStr(status.message()).ptr());
  throw nb::python_error();
}

std::optional<Timeout> ToTimeout(std::optional<double> seconds) {
  if (!seconds) return std::nullopt;
  if (std::isnan(*seconds) || *seconds < 0) {
    Raise(Status::Invalid("a timeout is a number of seconds, not negative"));
  }
  constexpr double kLongest = 10.0 * 365 * 24 * 3600;
  return Timeout{static_cast<int64_t>(std::ceil(std::min(*seconds, kLongest) * 1000))};
}

bool Interrupted() {
  nb::gil_scoped_acquire acquired;
  return PyErr_CheckSignals() != 0;
}

Progress ToProgress(nb::handle function) {
  if (function.is_none()) return {};
  return [function](uint64_t done, uint64_t total) {
    nb::gil_scoped_acquire acquired;
    try {
      function(done, total);
    } catch (nb::python_error& error) {
      error.restore();
      return false;
    }
    return PyErr_CheckSignals() == 0;
  };
}

nb::object ToStr(std::string_view text) {
  PyObject* made =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (made == nullptr) throw nb::python_error();
  return nb::steal(made);
}

}  // namespace vineyard::python
