// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/memory_info.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "os/text_file.h"

namespace vineyard::os {

namespace {

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// nullopt for "max", which is no limit, and for whatever else is no number.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop == text.data()) return std::nullopt;
  return value;
}

bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

// The number after the word that begins a line.
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (!line.starts_with(word) || line.size() == word.size() || line[word.size()] != ' ') continue;
    return ParseNumber(line.substr(word.size() + 1));
  }
  return std::nullopt;
}

// Where a group says what it uses; caches of files that nobody has read lately are as good as free.
struct GroupUsage {
  std::string_view file;
  std::string_view reclaimable;  // a word of memory.stat
};

// The least of the limits of a group and of all above it; with `usage`, of what is left of them. In a container the path may be the host's
// and not be there; what is mounted is then the container's own group, whose limit the root has.
std::optional<uint64_t> LeastLimit(const std::string& mount, std::string path,
                                   const std::string& file, const GroupUsage& usage = {}) {
  const auto read = [&](std::string_view name) {
    const Result<std::string> text = ReadTextFile(fmt::format("{}{}/{}", mount, path, name));
    return text.ok() ? *text : std::string();
  };
  std::optional<uint64_t> least;
  while (true) {
    if (const std::optional<uint64_t> limit = ParseNumber(read(file))) {
      uint64_t used = 0;
      if (!usage.file.empty()) {
        used = ParseNumber(read(usage.file)).value_or(0);
        used -= std::min(used, FindNumber(read("memory.stat"), usage.reclaimable).value_or(0));
      }
      const uint64_t left = *limit - std::min(*limit, used);
      least = std::min(least.value_or(left), left);
    }
    if (path.empty()) return least;
    path.erase(path.rfind('/'));
  }
}

std::optional<uint64_t> ParseMeminfo(std::string_view meminfo, std::string_view key) {
  while (!meminfo.empty()) {
    std::string_view line = TakeLine(meminfo);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(std::min(line.find_first_not_of(' ', key.size()), line.size()));
    const std::optional<uint64_t> kib = ParseNumber(line);
    if (!kib || !line.ends_with(" kB") || *kib > (uint64_t{1} << 53)) return std::nullopt;
    return *kib * 1024;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> ParseMemTotal(std::string_view meminfo) {
  return ParseMeminfo(meminfo, "MemTotal:");
}

// Lines are "hierarchy number:controllers:path"; version 2 has the number 0 and no controllers.
CgroupPaths ParseCgroupPaths(std::string_view self_cgroup) {
  CgroupPaths paths;
  while (!self_cgroup.empty()) {
    const std::string_view line = TakeLine(self_cgroup);
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos || !line.substr(second + 1).starts_with('/')) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (line.starts_with("0::")) {
      paths.v2 = line.substr(second + 1);
    } else if (HasWord(controllers, "memory")) {
      paths.v1_memory = line.substr(second + 1);
    }
  }
  return paths;
}

Result<MemoryInfo> ReadMemoryInfo(const std::string& root) {
  VY_ASSIGN_OR_RETURN(const std::string meminfo, ReadTextFile(root + "/proc/meminfo"));
  const std::optional<uint64_t> total = ParseMemTotal(meminfo);
  if (!total) return Status::Internal("cannot find MemTotal in " + root + "/proc/meminfo");
  MemoryInfo info{.machine_bytes = *total, .cgroup_bytes = std::nullopt};

  // Without /proc/self/cgroup (no control groups in this kernel) there is no limit to find.
  const Result<std::string> self = ReadTextFile(root + "/proc/self/cgroup");
  const CgroupPaths paths = self.ok() ? ParseCgroupPaths(*self) : CgroupPaths{};
  const auto consider = [&](const std::optional<std::string>& path, const std::string& mount,
                            const std::string& file) {
    if (!path) return;
    const auto limit = LeastLimit(root + mount, *path == "/" ? "" : *path, file);
    if (limit && *limit < info.limit()) info.cgroup_bytes = limit;
  };
  consider(paths.v1_memory, "/sys/fs/cgroup/memory", "memory.limit_in_bytes");
  consider(paths.v2, "/sys/fs/cgroup", "memory.max");
  consider(paths.v2, "/sys/fs/cgroup/unified", "memory.max");
  return info;
}

Result<uint64_t> ReadAvailableMemory(const std::string& root) {
  VY_ASSIGN_OR_RETURN(const std::string meminfo, ReadTextFile(root + "/proc/meminfo"));
  const std::optional<uint64_t> machine = ParseMeminfo(meminfo, "MemAvailable:");
  if (!machine) return Status::Internal("cannot find MemAvailable in " + root + "/proc/meminfo");
  uint64_t least = *machine;
  const Result<std::string> self = ReadTextFile(root + "/proc/self/cgroup");
  const CgroupPaths paths = self.ok() ? ParseCgroupPaths(*self) : CgroupPaths{};
  const auto consider = [&](const std::optional<std::string>& path, const std::string& mount,
                            const std::string& limit, const GroupUsage& usage) {
    if (!path) return;
    const auto left = LeastLimit(root + mount, *path == "/" ? "" : *path, limit, usage);
    if (left) least = std::min(least, *left);
  };
  consider(paths.v1_memory, "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
           {"memory.usage_in_bytes", "total_inactive_file"});
  const GroupUsage usage{"memory.current", "inactive_file"};
  consider(paths.v2, "/sys/fs/cgroup", "memory.max", usage);
  consider(paths.v2, "/sys/fs/cgroup/unified", "memory.max", usage);
  return least;
}

}  // namespace vineyard::os
