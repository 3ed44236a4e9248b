// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a worker looks at; worker_changes.cc has what it changes.
#include "soak/worker.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace vineyard::soak {

Worker::Worker(Client client, Seat& seat, const WorkerOptions& options)
    : client_(std::move(client)), seat_(seat), options_(options), random_(options.random) {}

// splitmix64
uint32_t Worker::Below(uint64_t bound) {
  uint64_t z = (random_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  z ^= z >> 31;
  return static_cast<uint32_t>((z >> 32) * bound >> 32);
}

std::string Worker::NameOf(uint32_t name) const { return fmt::format("{}/{}", options_.who, name); }

Status Worker::Run(uint64_t operations) {
  const uint64_t end = seat_.tally.operations() + operations;
  // Adding up the tally takes longer than a get.
  while (seat_.tally.operations() < end) {
    for (int i = 0; i < 16; ++i) VY_RETURN_IF_ERROR(Step());
  }
  return {};
}

// Of 1000 calls 600 look. Puts and deletes of many in one call make the changes about two thirds of all
// operations.
Status Worker::Step() {
  ++seat_.tally.calls;
  const uint32_t dice = Below(1000);
  if (dice >= 600) return RandomChange();
  if (dice < 480 && !model().objects().empty()) return GetOne(model().objects()[AnySlot()]);
  if (dice < 500 && !model().objects().empty()) return GetSeveral();
  if (dice < 560) return GetByName(Below(kNames));
  if (dice < 590) return TryWhatIsGone();
  return TryWhatIsRefused();
}

Status Worker::Compare(const Object& object, const Held& held, uint64_t seed) const {
  const auto wrong = [&](const std::string& what) {
    return Status::Corrupted(fmt::format("object {} of seed {} and size {}: {}",
                                         object.id().ToString(), seed, held.size, what));
  };
  Origin origin;
  if (!ReadTypeName(object.type_name(), &origin) || origin != Origin{options_.who, seed}) {
    return wrong("is of type " + object.type_name());
  }
  if (object.buffers().size() != 1) return wrong("has another number of buffers");
  if (object.buffers()[0].size() != held.size) return wrong("is of another size");
  if (!IsContent(object.buffers()[0].bytes(), seed)) return wrong("holds other bytes");
  if (seed != held.seed) return {};  // a part
  const std::vector<Label>& labels = object.info().labels;
  if (labels.size() != (held.label == 0 ? 0U : 1U)) return wrong("has other labels");
  if (held.label != 0 && labels[0].value != std::to_string(held.label)) {
    return wrong("is labelled " + labels[0].value + ", not " + std::to_string(held.label));
  }
  const std::vector<Member>& members = object.info().members;
  if (members.size() != (held.parts[0] == 0 ? 0U : 2U)) return wrong("has other members");
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].id.value() != held.parts[i]) return wrong("has another member");
  }
  return {};
}

Status Worker::GetOne(const Held& held) {
  const uint32_t part = held.parts[0] == 0 ? 0 : Below(3);
  const uint64_t id = part == 0 ? held.id : held.parts[part - 1];
  ++seat_.tally.gets;
  VY_ASSIGN_OR_RETURN(const Object object, client_.Get(ObjectId(id)));
  return Compare(object, held, held.seed + part);
}

Status Worker::GetSeveral() {
  std::array<const Held*, 16> wanted;
  std::vector<ObjectId> ids;
  for (const Held*& held : wanted) {
    held = &model().objects()[AnySlot()];
    ids.emplace_back(held->id);
  }
  seat_.tally.gets += wanted.size();
  const auto objects = client_.GetMany(ids);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!objects[i].ok()) return objects[i].status();
    VY_RETURN_IF_ERROR(Compare(*objects[i], *wanted[i], wanted[i]->seed));
  }
  return {};
}

Status Worker::GetByName(uint32_t name) {
  const NameHeld& wanted = model().names()[name];
  if (wanted.id == 0) {
    ++seat_.tally.misses;
    const Status s = client_.GetName(NameOf(name)).status();
    if (s.Is(StatusCode::kNotFound)) return {};
    return s.ok() ? Status::Corrupted("name " + NameOf(name) + " is there, and must not be") : s;
  }
  ++seat_.tally.gets_by_name;
  VY_ASSIGN_OR_RETURN(const NameInfo info, client_.GetName(NameOf(name)));
  if (info.id.value() != wanted.id || info.version != wanted.version) {
    return Status::Corrupted(fmt::format(
        "name {} is {} of version {}, and must be {} of version {}", NameOf(name),
        info.id.ToString(), info.version, ObjectId(wanted.id).ToString(), wanted.version));
  }
  VY_ASSIGN_OR_RETURN(const Object object, client_.Get(NameOf(name)));
  const Held* held = model().Find(wanted.id);
  if (held == nullptr || object.id().value() != wanted.id) {
    return Status::Corrupted("name " + NameOf(name) + " gives " + object.id().ToString());
  }
  return Compare(object, *held, held->seed);
}

Status Worker::TryWhatIsGone() {
  const uint64_t id = seat_.gone[Below(seat_.gone.size())];
  if (id == 0) return {};
  ++seat_.tally.misses;
  VY_ASSIGN_OR_RETURN(const bool there, client_.Exists(ObjectId(id)));
  if (!there) return {};
  return Status::Corrupted(ObjectId(id).ToString() + " is there, and was deleted");
}

// Each of these must be refused, and change nothing.
Status Worker::TryWhatIsRefused() {
  if (model().objects().empty()) return {};
  const Held& held = model().objects()[AnySlot()];
  const uint32_t name = Below(kNames);
  const uint64_t version = model().names()[name].version;
  Status got;
  StatusCode wanted = StatusCode::kConflict;
  switch (Below(4)) {
    case 0:
      got = client_
                .PutName(NameOf(name), ObjectId(held.id),
                         {.timeout = {}, .if_version = version + 1, .ttl = {}})
                .status();
      break;
    case 1:
      if (version == 0) return {};
      got = client_.DropName(NameOf(name), {.timeout = {}, .if_version = version + 1, .ttl = {}});
      break;
    case 2:
      if (held.parts[0] == 0) return {};
      wanted = StatusCode::kFailedPrecondition;
      got = client_.Delete({ObjectId(held.parts[Below(2)])}).status();
      break;
    default:
      if (seat_.gone[0] == 0) return {};
      wanted = StatusCode::kNotFound;
      got = client_.Delete({ObjectId(held.id), ObjectId(seat_.gone[0])}).status();
  }
  ++seat_.tally.refused;
  if (got.Is(wanted)) return {};
  return Status::Corrupted(
      fmt::format("what had to be refused gave '{}'", got.ok() ? "ok" : got.ToString()));
}

Status Worker::CheckAll() {
  for (const Held& held : model().objects()) {
    for (uint32_t part = 0; part < (held.parts[0] == 0 ? 1 : 3); ++part) {
      const uint64_t id = part == 0 ? held.id : held.parts[part - 1];
      VY_ASSIGN_OR_RETURN(const Object object, client_.Get(ObjectId(id)));
      VY_RETURN_IF_ERROR(Compare(object, held, held.seed + part));
    }
  }
  for (uint32_t name = 0; name < kNames; ++name) VY_RETURN_IF_ERROR(GetByName(name));
  return {};
}

Result<uint64_t> Worker::Generation() {
  VY_ASSIGN_OR_RETURN(const InstanceStatus status, client_.GetStatus());
  return status.generation;
}

}  // namespace vineyard::soak
