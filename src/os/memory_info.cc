// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/memory_info.h"

#include <algorithm>

#include "os/control_group.h"
#include "os/text_file.h"

namespace vineyard::os {

namespace {

// The number after the word that begins a line.
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (!line.starts_with(word) || line.size() == word.size() || line[word.size()] != ' ') continue;
    return ParseNumber(line.substr(word.size() + 1));
  }
  return std::nullopt;
}

// Where a group says what it may use and what it uses; caches of files that nobody has read lately are as
// good as free.
struct GroupFiles {
  std::string_view limit;
  std::string_view usage;        // empty: none is taken off
  std::string_view reclaimable;  // a word of memory.stat
};

// The least of what this process's group and all above it may use, or have left.
std::optional<uint64_t> LeastLimit(const std::string& root, const GroupFiles& v1,
                                   const GroupFiles& v2) {
  std::optional<uint64_t> least;
  VisitControlGroups(root, "memory", [&](const ControlGroup& group) {
    const GroupFiles& files = group.version() == 1 ? v1 : v2;
    const std::optional<uint64_t> limit = ParseNumber(group.Read(files.limit));
    if (!limit) return;
    uint64_t used = 0;
    if (!files.usage.empty()) {
      used = ParseNumber(group.Read(files.usage)).value_or(0);
      used -= std::min(used, FindNumber(group.Read("memory.stat"), files.reclaimable).value_or(0));
    }
    const uint64_t left = *limit - std::min(*limit, used);
    least = std::min(least.value_or(left), left);
  });
  return least;
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

Result<MemoryInfo> ReadMemoryInfo(const std::string& root) {
  VY_ASSIGN_OR_RETURN(const std::string meminfo, ReadTextFile(root + "/proc/meminfo"));
  const std::optional<uint64_t> total = ParseMemTotal(meminfo);
  if (!total) return Status::Internal("cannot find MemTotal in " + root + "/proc/meminfo");
  MemoryInfo info{.machine_bytes = *total, .cgroup_bytes = std::nullopt};

  const std::optional<uint64_t> limit =
      LeastLimit(root, {"memory.limit_in_bytes", "", ""}, {"memory.max", "", ""});
  if (limit && *limit < info.machine_bytes) info.cgroup_bytes = limit;
  return info;
}

Result<uint64_t> ReadAvailableMemory(const std::string& root) {
  VY_ASSIGN_OR_RETURN(const std::string meminfo, ReadTextFile(root + "/proc/meminfo"));
  const std::optional<uint64_t> machine = ParseMeminfo(meminfo, "MemAvailable:");
  if (!machine) return Status::Internal("cannot find MemAvailable in " + root + "/proc/meminfo");
  const std::optional<uint64_t> left =
      LeastLimit(root, {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
                 {"memory.max", "memory.current", "inactive_file"});
  return std::min(*machine, left.value_or(*machine));
}

}  // namespace vineyard::os
