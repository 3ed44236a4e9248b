// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/judge.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "os/socket.h"

namespace vineyard::soak {

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// What an instance may have besides 1.1 times what lives: tables, journals, rings, the programs themselves.
constexpr uint64_t kFixed = 64 * kMiB;
// What the instance and the kernel may differ by: files that the instance does not count as held.
constexpr uint64_t kUncounted = 8 * kMiB;

// Memory and connections that were given back may be on their way for a while. False after a minute.
bool Eventually(const std::function<bool()>& condition) {
  using std::chrono::milliseconds;
  const auto end = os::Clock::now() + std::chrono::seconds(60);
  for (auto pause = milliseconds(1); os::Clock::now() < end;
       pause = std::min(2 * pause, milliseconds(50))) {
    if (condition()) return true;
    std::this_thread::sleep_for(pause);
  }
  return condition();
}

std::string NameOf(uint32_t who, uint32_t name) { return fmt::format("{}/{}", who, name); }

uint64_t PartsOf(const Held& held) { return held.parts[0] == 0 ? 1 : 3; }

}  // namespace

Judge::Judge(const Instance& instance, Client client, std::span<Seat> seats)
    : instance_(instance), client_(std::move(client)), seats_(seats) {}

Status Judge::Begin() {
  VY_ASSIGN_OR_RETURN(const InstanceStatus status, client_.GetStatus());
  start_ = status.memory_usage;
  return {};
}

Result<Judge::Served> Judge::WhoIsServed() {
  VY_ASSIGN_OR_RETURN(const InstanceStatus status, client_.GetStatus());
  return Served{status.generation, status.connections - 1};
}

std::vector<ObjectId> Judge::Found::BlobsOfNobody() const {
  std::vector<ObjectId> ids;
  for (const uint64_t id : blobs) {
    if (!referred.contains(id)) ids.emplace_back(id);
  }
  return ids;
}

Result<Judge::Found> Judge::Look() {
  Found found;
  VY_ASSIGN_OR_RETURN(auto objects,
                      client_.List({.timeout = {}, .limit = SIZE_MAX, .include_parts = true}));
  for (ObjectInfo& info : objects) {
    const uint64_t id = info.id.value();
    if (info.id.is_blob()) {
      found.blobs.push_back(id);
      continue;
    }
    for (const BufferRef& buffer : info.buffers) found.referred.insert(buffer.blob.value());
    if (!found.objects.emplace(id, std::move(info)).second) {
      return Status::Corrupted(ObjectId(id).ToString() + " is listed twice");
    }
  }
  VY_ASSIGN_OR_RETURN(auto names, client_.ListNames());
  for (NameInfo& info : names) found.names.emplace(info.name, std::move(info));
  return found;
}

// What the model has is there, and of this seat nothing else is.
Status Judge::Compare(const Found& found, uint32_t who, const Model& model) const {
  uint64_t wanted = 0;
  for (const Held& held : model.objects()) {
    wanted += PartsOf(held);
    for (uint64_t part = 0; part < PartsOf(held); ++part) {
      const uint64_t id = part == 0 ? held.id : held.parts[part - 1];
      const auto it = found.objects.find(id);
      if (it == found.objects.end()) {
        return Status::Corrupted(fmt::format("acknowledged object {} of seed {} is lost",
                                             ObjectId(id).ToString(), held.seed + part));
      }
      const ObjectInfo& info = it->second;
      if (info.type_name != TypeName({who, held.seed + part}) || info.nbytes != held.size) {
        return Status::Corrupted(fmt::format("object {} of seed {} has become {} of {} bytes",
                                             info.id.ToString(), held.seed + part, info.type_name,
                                             info.nbytes));
      }
      const std::string label = info.labels.empty() ? "0" : info.labels[0].value;
      if (part == 0 && label != std::to_string(held.label)) {
        return Status::Corrupted(fmt::format("object {} is labelled {}, and must be {}",
                                             info.id.ToString(), label, held.label));
      }
    }
  }
  uint64_t there = 0;
  for (const auto& [id, info] : found.objects) {
    Origin origin;
    if (!ReadTypeName(info.type_name, &origin)) {
      return Status::Corrupted(ObjectId(id).ToString() + " is of type " + info.type_name);
    }
    there += origin.who == who ? 1 : 0;
  }
  if (there != wanted) {
    return Status::Corrupted(
        fmt::format("client {} has {} objects, and must have {}", who, there, wanted));
  }
  return CompareNames(found, who, model);
}

Status Judge::CompareNames(const Found& found, uint32_t who, const Model& model) const {
  for (uint32_t name = 0; name < kNames; ++name) {
    const NameHeld& wanted = model.names()[name];
    const auto it = found.names.find(NameOf(who, name));
    const NameHeld there =
        it == found.names.end() ? NameHeld{} : NameHeld{it->second.id.value(), it->second.version};
    if (there.id != wanted.id || there.version != wanted.version) {
      return Status::Corrupted(
          fmt::format("name {} is {} of version {}, and must be {} of version {}",
                      NameOf(who, name), ObjectId(there.id).ToString(), there.version,
                      ObjectId(wanted.id).ToString(), wanted.version));
    }
  }
  return {};
}

// What the operation may have made and nobody was told of: unnamed, or half of what several requests make.
Status Judge::RemoveTraces(const Found& found, uint32_t who, const Operation& operation) {
  std::vector<ObjectId> ids;
  for (const auto& [id, info] : found.objects) {
    Origin origin;
    if (!ReadTypeName(info.type_name, &origin) || origin.who != who) continue;
    const bool its = origin.seed >= operation.seed && origin.seed < operation.seed + kSeedStep;
    const bool known = seats_[who].models[0].Find(id) != nullptr;
    if (its && !known) ids.emplace_back(id);
  }
  // With force, since a whole takes its parts along: one by one, the later before the earlier.
  for (const ObjectId id : ids) {
    const Status s = client_.Delete({id}, {.timeout = {}, .force = true}).status();
    if (!s.ok() && !s.Is(StatusCode::kNotFound)) return s;
  }
  if (operation.what == Kind::kBlob) {
    for (const ObjectId id : found.BlobsOfNobody()) {
      VY_RETURN_IF_ERROR(client_.Delete({id}).status());
    }
  }
  if (operation.what == Kind::kVolume) {
    const Status s = client_.RemoveVolume(fmt::format("v{}", who));
    if (!s.ok() && !s.Is(StatusCode::kNotFound)) return s;
  }
  return {};
}

Status Judge::Settle(Seat& seat) {
  if (!seat.Settle()) return {};
  const uint32_t who = NumberOf(seat);
  const Operation& o = seat.operation;
  VY_ASSIGN_OR_RETURN(Found found, Look());
  const bool makes = o.what == Kind::kPut || o.what == Kind::kPutInPlace;
  const bool leaves_traces =
      makes ? o.name == kNoName : o.what == Kind::kPutWhole || o.what >= Kind::kStream;
  if (leaves_traces) {
    VY_RETURN_IF_ERROR(RemoveTraces(found, who, o));
    seat.GiveUp();
    return {};
  }
  if (makes) {
    for (const auto& [id, info] : found.objects) {
      if (info.type_name == TypeName({who, o.seed})) seat.outcome.ids[0] = id;
    }
  }
  if (Compare(found, who, seat.models[0]).ok()) {
    seat.GiveUp();
    return {};
  }
  auto after = std::make_unique<Model>(seat.models[0]);
  after->Apply(o, seat.outcome);
  Status s = Compare(found, who, *after);
  if (!s.ok()) {
    return s.WithContext(fmt::format("'{}', in which client {} was killed, has happened in part",
                                     KindName(o.what), who));
  }
  seat.tally.changes[static_cast<size_t>(o.what)] += o.count;
  seat.Finish();
  return {};
}

Status Judge::Check() {
  ++checks_;
  VY_ASSIGN_OR_RETURN(const Found found, Look());
  size_t names = 0;
  for (const Seat& seat : seats_) {
    VY_RETURN_IF_ERROR(Compare(found, NumberOf(seat), seat.models[0]));
    names += static_cast<size_t>(
        std::ranges::count_if(seat.models[0].names(), [](const auto& n) { return n.id != 0; }));
  }
  if (found.names.size() != names) {
    return Status::Corrupted(
        fmt::format("{} names are there instead of {}", found.names.size(), names));
  }
  if (const auto blobs = found.BlobsOfNobody(); !blobs.empty()) {
    return Status::Corrupted("blob " + blobs[0].ToString() + " belongs to nobody");
  }
  return CheckMemory();
}

// Empty where nothing does.
std::string Judge::WhatDisagrees(const InstanceStatus& status, const KernelFigures& kernel) {
  uint64_t live = 0;
  for (const Seat& seat : seats_) live += seat.models[0].bytes();
  const uint64_t said = status.memory_held + status.memory_ready;
  uint64_t ready = 0;  // what the keeper does not hold has been nobody's yet
  for (const auto& [inode, file] : kernel.files) {
    const bool chunk = file.name.starts_with("vineyard-chunk");
    if (chunk && !file.in_keeper) ready += file.size;
  }
  const uint64_t resident = kernel.pages() + kernel.private_bytes - std::min(ready, kernel.pages());
  const auto above = static_cast<int64_t>(resident) - static_cast<int64_t>(live + live / 10);
  std::string wrong;
  if (above > static_cast<int64_t>(kFixed)) wrong += " resident";
  if (ready != status.memory_ready) wrong += " ready";
  if (kernel.pages() > said + kUncounted) wrong += " held";
  if (status.memory_lingering != 0) wrong += " lingering";
  if (status.waiting != 0) wrong += " waiting";
  if (wrong.empty()) {
    worst_ = std::max(worst_, above);
    return wrong;
  }
  return fmt::format(
      "memory does not agree:{}. Alive {:.1f} MiB; the instance says used {:.1f}, held {:.1f}, "
      "ready {:.1f}, "
      "lingering {:.1f}, overhead {:.1f}, waiting {}; the kernel says chunks {:.1f}, ready ones "
      "{:.1f}, "
      "arenas {:.1f}, all files {:.1f} (pages {:.1f}), private {:.1f}, {} descriptors",
      wrong, double(live) / kMiB, double(status.memory_usage) / kMiB,
      double(status.memory_held) / kMiB, double(status.memory_ready) / kMiB,
      double(status.memory_lingering) / kMiB, double(status.memory_overhead) / kMiB, status.waiting,
      double(kernel.SizeOf("vineyard-chunk")) / kMiB, double(ready) / kMiB,
      double(kernel.SizeOf("vineyard-arena")) / kMiB, double(kernel.SizeOf("")) / kMiB,
      double(kernel.pages()) / kMiB, double(kernel.private_bytes) / kMiB, kernel.descriptors);
}

Status Judge::CheckMemory() {
  Status failed;
  std::string wrong;
  const bool agrees = Eventually([&] {
    auto status = client_.GetStatus();
    failed = status.status();
    if (!status.ok()) return true;
    wrong = WhatDisagrees(*status, instance_.Figures());
    return wrong.empty();
  });
  if (!failed.ok()) return failed;
  return agrees ? Status() : Status::Internal(wrong);
}

Status Judge::CheckEmpty() {
  Result<InstanceStatus> status = Status::Internal("not asked");
  const bool empty = Eventually([&] {
    status = client_.GetStatus();
    if (!status.ok()) return true;
    return status->memory_usage == start_ && status->memory_lingering == 0 &&
           status->objects == 0 && status->blobs == 0 && status->names == 0 &&
           status->disk_bytes == 0 && status->spilled_blobs == 0;
  });
  if (!status.ok()) return status.status();
  if (empty) return {};
  return Status::Internal(
      fmt::format("everything was deleted, and {} bytes are used instead of {}; {} objects, {} "
                  "blobs, {} names; {} bytes "
                  "linger, {} are on the disk",
                  status->memory_usage, start_, status->objects, status->blobs, status->names,
                  status->memory_lingering, status->disk_bytes));
}

}  // namespace vineyard::soak
