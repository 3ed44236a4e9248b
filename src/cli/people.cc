// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/people.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "os/process.h"

namespace vineyard::cli {

People::People(std::span<const ClientInfo> clients) {
  for (const ClientInfo& client : clients) {
    if (!client.program.empty()) programs_[client.pid] = client.program;
  }
}

std::string People::Program(uint64_t pid) const {
  const auto it = programs_.find(pid);
  if (it != programs_.end()) return it->second;
  return pid == 0 ? std::string() : os::ProcessName(static_cast<pid_t>(pid));
}

std::string People::Name(uint64_t pid, const std::string& pod) const {
  const std::string program = Program(pid);
  std::string name =
      program.empty() ? fmt::format("pid {}", pid) : fmt::format("{} ({})", program, pid);
  if (!pod.empty()) name += " in " + pod;
  return name;
}

nlohmann::json ClientJson(const ClientInfo& client) {
  return {{"client", client.number},
          {"program", client.program},
          {"pid", client.pid},
          {"uid", client.uid},
          {"pod", client.pod},
          {"volume", client.volume},
          {"connected", client.connected},
          {"read_only", client.read_only},
          {"known_for_ms", client.known_for.count()},
          {"mapped_bytes", client.mapped_bytes},
          {"mapped_blobs", client.mapped_blobs},
          {"writing_bytes", client.writing_bytes},
          {"idle_bytes", client.idle_bytes},
          {"pinned_bytes", client.pinned_bytes},
          {"waiting", client.waiting},
          {"requests", client.requests}};
}

}  // namespace vineyard::cli
