// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who did it: names of processes, as far as they can be told.
#pragma once

#include <map>
#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vineyard/client.h"

namespace vineyard::cli {

class People {
 public:
  People() = default;
  explicit People(std::span<const ClientInfo> clients);
  /// "train.py (123)", with the pod if it has one; of a client that is gone what the system calls the process, if
  /// that is still there: "python3 (123)"; else "pid 123".
  [[nodiscard]] std::string Name(uint64_t pid, const std::string& pod = {}) const;
  /// What the client calls itself; empty: unknown.
  [[nodiscard]] std::string Program(uint64_t pid) const;

 private:
  std::map<uint64_t, std::string> programs_;
};

nlohmann::json ClientJson(const ClientInfo& client);

}  // namespace vineyard::cli
