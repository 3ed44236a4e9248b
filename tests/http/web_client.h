// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: an instance that answers HTTP, and who asks it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "os/fd.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {

/// A connection to a port of this machine. What it says goes whole, what it hears is waited for.
class WebConnection {
 public:
  explicit WebConnection(uint16_t port);
  /// False where the other side has closed.
  bool Say(const std::string& text) const;
  /// All until the other side closes.
  [[nodiscard]] std::string HearAll() const;

 private:
  os::UniqueFd fd_;
};

struct WebAnswer {
  int status = 0;  ///< 0: none has come
  std::string head;
  std::string body;
  [[nodiscard]] nlohmann::json json() const;
};

/// An instance with --http=127.0.0.1:0.
class WebDaemon : public TestDaemon {
 public:
  explicit WebDaemon(std::vector<std::string> flags = {},
                     const std::string& address = "127.0.0.1:0", const std::string& program = {});

  [[nodiscard]] uint16_t port() const { return port_; }
  /// `lines`: of the head, each with its end.
  [[nodiscard]] WebAnswer Get(const std::string& path, const std::string& lines = {}) const;
  /// Asks until it is answered by that status.
  WebAnswer Await(const std::string& path, int status) const;
  /// The process that answers; waits for one if there is none.
  [[nodiscard]] pid_t web() const;

 private:
  uint16_t port_ = 0;
};

/// Of a process that answers HTTP, whose parent is `keeper`; 0: there is none.
pid_t WebProcessOf(pid_t keeper);
/// The port that its log names.
uint16_t PortInLog(const std::string& log);

}  // namespace vineyard::testing
