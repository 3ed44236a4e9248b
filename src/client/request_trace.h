// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RequestTrace: what a program asked its instances, as the program itself saw it: a line of JSON for each request, in the
// file that VINEYARD_TRACE names. Client and request have the numbers that the instance knows them by, so that a line
// here and one of `vineyardctl trace` can be seen to be the same request, and the time between them.
//
// Any thread may note. Lines of several processes in one file stay whole, as each is appended at once.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "os/socket.h"
#include "vineyard/status.h"
#include "wire/codec.h"

namespace vineyard::client {

class RequestTrace {
 public:
  struct Entry {
    uint64_t client = 0;
    uint64_t request_id = 0;
    fb::RequestBody kind{};
    int64_t begun_unix_ns = 0;
    os::Clock::duration took{0};  // until the answer was there
    StatusCode code{};
  };

  /// Null: VINEYARD_TRACE names no file. It is asked for once in a process. Fails where the file can't be written.
  static Result<RequestTrace*> OfProcess();
  /// Appends to that file.
  static Result<std::unique_ptr<RequestTrace>> Make(const std::string& path);

  void Note(const Entry& entry);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit RequestTrace(std::FILE* file) : file_(file) {}

  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace vineyard::client
