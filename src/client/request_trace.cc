// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/request_trace.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "os/process.h"

namespace vineyard::client {

Result<RequestTrace*> RequestTrace::OfProcess() {
  static const Result<std::unique_ptr<RequestTrace>> only =
      []() -> Result<std::unique_ptr<RequestTrace>> {
    const char* path = std::getenv("VINEYARD_TRACE");
    if (path == nullptr || *path == '\0') return std::unique_ptr<RequestTrace>();
    return Make(path);
  }();
  VY_RETURN_IF_ERROR(only.status());
  return only->get();
}

Result<std::unique_ptr<RequestTrace>> RequestTrace::Make(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) {
    return Status::IOError(
        fmt::format("VINEYARD_TRACE: '{}' can't be written: {}", path, std::strerror(errno)));
  }
  return std::unique_ptr<RequestTrace>(new RequestTrace(file));
}

void RequestTrace::Note(const Entry& entry) {
  using std::chrono::microseconds;
  const std::string line = fmt::format(
      "{{\"pid\":{},\"client\":{},\"request_id\":{},\"request\":\"{}\",\"begun_unix_ns\":{},"
      "\"took_us\":{},\"result\":\"{}\"}}\n",
      os::ThisProcess(), entry.client, entry.request_id, fb::EnumNameRequestBody(entry.kind),
      entry.begun_unix_ns, std::chrono::duration_cast<microseconds>(entry.took).count(),
      StatusCodeName(entry.code));
  std::fwrite(line.data(), 1, line.size(), file_.get());
  std::fflush(file_.get());  // a program may end in any way
}

}  // namespace vineyard::client
