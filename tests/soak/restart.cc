// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/restart.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "os/socket.h"
#include "soak/model.h"

namespace vineyard::soak {

namespace {

Result<std::vector<ObjectId>> PutAll(Client& client, uint64_t objects) {
  std::vector<std::byte> bytes(100);
  std::vector<ObjectId> ids;
  PutPipeline puts = client.StartPuts();
  const ObjectBuilder builder = ObjectBuilder("restart").AddBuffer(std::span(bytes));
  for (uint64_t i = 0; i < objects; ++i) puts.Add(builder);
  for (auto& id : puts.Finish()) {
    if (!id.ok()) return id.status();
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace

Result<std::vector<double>> MeasureRestarts(const Instance& instance, Client& client,
                                            uint64_t objects, int times) {
  VY_ASSIGN_OR_RETURN(const auto ids, PutAll(client, objects));
  std::vector<double> took;
  for (int i = 0; i < times; ++i) {
    VY_ASSIGN_OR_RETURN(const InstanceStatus before, client.GetStatus());
    const os::TimePoint begin = os::Clock::now();
    if (!instance.KillEngine()) return Status::Internal("no engine runs");
    // The one before may still answer what it has read.
    for (uint64_t generation = before.generation; generation == before.generation;) {
      VY_ASSIGN_OR_RETURN(const InstanceStatus now, client.GetStatus());
      generation = now.generation;
    }
    took.push_back(std::chrono::duration<double, std::milli>(os::Clock::now() - begin).count());
    VY_ASSIGN_OR_RETURN(const InstanceStatus after, client.GetStatus());
    if (after.objects != ids.size()) {
      return Status::Corrupted(
          fmt::format("{} objects are there of {}", after.objects, ids.size()));
    }
  }
  std::ranges::sort(took);
  for (size_t i = 0; i < ids.size(); i += 1000) {
    const auto end = std::min(i + 1000, ids.size());
    VY_RETURN_IF_ERROR(client
                           .Delete({ids.begin() + static_cast<ptrdiff_t>(i),
                                    ids.begin() + static_cast<ptrdiff_t>(end)})
                           .status());
  }
  return took;
}

}  // namespace vineyard::soak
