// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/huge_pages.h"

#include <fstream>

namespace vineyard::os {

namespace {

// The file lists all values and puts the one in force in brackets: "always [never] advise".
std::string Selected(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const size_t open = line.find('[');
  const size_t close = line.find(']');
  if (open == std::string::npos || close == std::string::npos) return {};
  return line.substr(open + 1, close - open - 1);
}

bool Serves(const std::string& value) {
  return value == "advise" || value == "always" || value == "within_size" || value == "force";
}

// "inherit" follows the switch for 2 MiB pages.
bool Enable(const std::string& path, bool may_write, bool* changed) {
  const std::string now = Selected(path);
  if (now.empty()) return false;
  if (Serves(now) || now == "inherit") return true;
  if (now != "never" || !may_write) return false;
  {
    std::ofstream out(path);
    out << "advise" << std::flush;
    if (!out) return false;
  }
  if (!Serves(Selected(path))) return false;
  *changed = true;
  return true;
}

}  // namespace

HugePageState PrepareHugePages(HugePageMode mode, const std::string& root) {
  HugePageState state;
  const bool may_write = mode != HugePageMode::kOff;
  state.large = Enable(root + "/shmem_enabled", may_write, &state.changed);
  for (const char* size : {"64", "128", "256", "512", "1024"}) {
    const std::string path = root + "/hugepages-" + size + "kB/shmem_enabled";
    state.middle = Enable(path, may_write, &state.changed) || state.middle;
  }
  if (!state.large) {
    const std::string path = root + "/shmem_enabled";
    state.hint = Selected(path).empty() ? "use a kernel that has " + path
                                        : "run as root once: echo advise > " + path;
  }
  return state;
}

}  // namespace vineyard::os
