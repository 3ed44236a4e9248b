// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The processes of a soak: the instance, its workers, and what the kernel says of the instance's memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "os/fd.h"
#include "vineyard/client.h"

namespace vineyard::soak {

struct Launch {
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string log;  ///< Where its output goes; empty: where this process's goes.
  int kept_fd = -1;
};
/// A child that ends with this process.
pid_t Start(const Launch& launch);

/// What the kernel knows of an instance's memory files.
struct KernelFigures {
  struct File {
    std::string name;
    uint64_t size = 0;
    uint64_t pages = 0;  // bytes
    bool in_keeper = false;
  };
  std::map<uint64_t, File> files;  // by inode
  uint64_t private_bytes = 0;      // of its processes' own
  size_t descriptors = 0;

  /// Of all files whose name begins so.
  [[nodiscard]] uint64_t SizeOf(const std::string& name) const;
  [[nodiscard]] uint64_t pages() const;
};

class Instance {
 public:
  struct Options {
    std::string program;
    std::string folder;
    std::vector<std::string> flags;
    std::vector<std::pair<std::string, std::string>> environment;
  };
  explicit Instance(const Options& options);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  /// Ends it.
  ~Instance();

  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] const std::string& log() const { return log_; }
  /// Waits until it answers.
  Result<Client> Connect() const;
  /// SIGKILL to the engine; false if there is none just now.
  [[nodiscard]] bool KillEngine() const;
  [[nodiscard]] KernelFigures Figures() const;

 private:
  [[nodiscard]] bool HasEnded() const;

  std::string socket_;
  std::string log_;
  pid_t keeper_;
};

}  // namespace vineyard::soak
