// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/control_group.h"

#include <charconv>

#include <fmt/format.h>

#include "os/text_file.h"

namespace vineyard::os {

namespace {

bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

}  // namespace

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop == text.data()) return std::nullopt;
  return value;
}

std::string ControlGroup::Read(std::string_view file) const {
  Result<std::string> text = ReadTextFile(fmt::format("{}/{}", folder_, file));
  return text.ok() ? *std::move(text) : std::string();
}

// Lines are "hierarchy number:controllers:path"; version 2 has the number 0 and no controllers.
std::optional<std::string> ParseGroupPath(std::string_view self_cgroup,
                                          std::string_view controller) {
  std::optional<std::string> path;
  while (!self_cgroup.empty()) {
    const std::string_view line = TakeLine(self_cgroup);
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos || !line.substr(second + 1).starts_with('/')) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? line.starts_with("0::") : HasWord(controllers, controller)) {
      path = line.substr(second + 1);
    }
  }
  return path;
}

void VisitControlGroups(const std::string& root, std::string_view controller,
                        const std::function<void(const ControlGroup&)>& visit) {
  // Without /proc/self/cgroup (no control groups in this kernel) there is none.
  const Result<std::string> self = ReadTextFile(root + "/proc/self/cgroup");
  if (!self.ok()) return;
  const auto upwards = [&](int version, std::optional<std::string> path, const std::string& mount) {
    if (!path) return;
    if (*path == "/") path->clear();
    while (true) {
      visit(ControlGroup(version, fmt::format("{}{}{}", root, mount, *path)));
      if (path->empty()) return;
      path->erase(path->rfind('/'));
    }
  };
  upwards(1, ParseGroupPath(*self, controller), fmt::format("/sys/fs/cgroup/{}", controller));
  const std::optional<std::string> v2 = ParseGroupPath(*self, "");
  upwards(2, v2, "/sys/fs/cgroup");
  upwards(2, v2, "/sys/fs/cgroup/unified");
}

}  // namespace vineyard::os
