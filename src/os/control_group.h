// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The control groups that this process is in, of version 1 or 2, whichever the machine uses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace vineyard::os {

class ControlGroup {
 public:
  ControlGroup(int version, std::string folder) : version_(version), folder_(std::move(folder)) {}
  [[nodiscard]] int version() const { return version_; }
  /// What one of its files says; empty if it can't be read.
  [[nodiscard]] std::string Read(std::string_view file) const;

 private:
  int version_;
  std::string folder_;
};

/// Calls `visit` with the process's group and all above it, of the controller (a name of version 1) and of
/// version 2. In a container the path may be the host's and not be there; what is mounted is then the
/// container's own group, and is visited last. Reads /proc and /sys below `root`, which is another folder
/// in tests.
void VisitControlGroups(const std::string& root, std::string_view controller,
                        const std::function<void(const ControlGroup&)>& visit);

/// Where /proc/self/cgroup says that the process is, a path that begins with "/". `controller` empty: of
/// version 2.
std::optional<std::string> ParseGroupPath(std::string_view self_cgroup,
                                          std::string_view controller);

/// The number that a text begins with; nullopt for "max", which is no limit, and for whatever else is none.
std::optional<uint64_t> ParseNumber(std::string_view text);
/// Takes the first line off.
std::string_view TakeLine(std::string_view& text);

}  // namespace vineyard::os
