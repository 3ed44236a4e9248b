// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How a folder is taken: whether it is ours, and what is in it.
#include <algorithm>

#include <fmt/format.h>

#include "base/logging.h"
#include "os/crash_point.h"
#include "os/paths.h"
#include "os/random.h"
#include "os/user.h"
#include "spill/place.h"
#include "spill/place_names.h"

namespace vineyard::spill {

namespace {

constexpr size_t kForeignNames = 100;

}  // namespace

Result<std::shared_ptr<Place>> Place::Take(PlaceOptions options) {
  VY_ASSIGN_OR_RETURN(const std::string path, os::MakeDirectories(options.path));
  VY_ASSIGN_OR_RETURN(const os::Directory outside, os::Directory::Open(path));
  VY_ASSIGN_OR_RETURN(os::Directory folder, outside.MakeChild(options.instance));
  std::shared_ptr<Place> place(new Place(std::move(options), std::move(folder)));
  VY_RETURN_IF_ERROR(place->CheckOwner());
  VY_RETURN_IF_ERROR(place->CheckOurs());
  auto lock = place->folder_.Lock(kLockName);
  if (!lock.ok()) {
    if (!lock.status().Is(StatusCode::kAlreadyExists)) return std::move(lock).status();
    return Status::AlreadyExists(fmt::format(
        "another instance spills to '{}'; end it, or give this one another folder", place->path()));
  }
  place->lock_ = std::move(lock).value();
  VY_RETURN_IF_ERROR(place->TakeIdentity(outside));
  VY_RETURN_IF_ERROR(place->LookAround());
  return place;
}

Status Place::CheckOwner() {
  VY_ASSIGN_OR_RETURN(const os::FileInfo info, folder_.Look());
  const uint32_t user = os::EffectiveUser();
  if (info.owner != user) {
    return Status::PermissionDenied(fmt::format(
        "'{}' belongs to user {}, and this instance runs as user {}; give it the folder "
        "(chown -R), or name another",
        path(), info.owner, user));
  }
  if ((info.mode & 0077) == 0) return {};
  VY_RETURN_IF_ERROR(folder_.CloseToOthers());
  log::Warning("spill folder was open to others, and is closed now",
               {{"folder", path()}, {"mode", fmt::format("{:04o}", info.mode)}});
  return {};
}

// Before anything is made in it.
Status Place::CheckOurs() const {
  if (!folder_.Look(kIdentityName).status().Is(StatusCode::kNotFound)) return {};
  std::string other;
  VY_RETURN_IF_ERROR(folder_.ForEach([&](std::string_view name) {
    if (name != kLockName && name != kIdentityPartName) other = name;
  }));
  if (other.empty()) return {};
  return Status::FailedPrecondition(fmt::format(
      "'{}' holds '{}' and no file '{}': it is no folder of an instance's; name an empty "
      "one",
      path(), other, kIdentityName));
}

Status Place::TakeIdentity(const os::Directory& outside) {
  auto file = folder_.OpenFile(kIdentityName, os::Directory::Rights::kRead, os::Caching::kThrough);
  if (file.status().Is(StatusCode::kNotFound)) {
    VY_RETURN_IF_ERROR(CheckOurs());
    return WriteIdentity(outside);
  }
  VY_RETURN_IF_ERROR(file.status());
  std::byte bytes[kIdentityLength + 1];
  VY_ASSIGN_OR_RETURN(const uint64_t length, file->ReadAt(0, bytes));
  auto uuid = DecodeIdentity(std::span(bytes).first(length));
  if (!uuid.ok()) {
    return Status::Corrupted(fmt::format(
        "'{}/{}' can't be read: {}; bring it back from a copy, or name another folder (what was "
        "spilled here stays as it is)",
        path(), kIdentityName, uuid.status().message()));
  }
  uuid_ = *uuid;
  return {};
}

Status Place::WriteIdentity(const os::Directory& outside) {
  VY_ASSIGN_OR_RETURN(uuid_, os::MakeUuid());
  std::byte bytes[kIdentityLength];
  EncodeIdentity(uuid_, bytes);
  Status before = folder_.Remove(kIdentityPartName);  // of one that ended while it was here
  if (!before.ok() && !before.Is(StatusCode::kNotFound)) return before;
  VY_ASSIGN_OR_RETURN(os::DiskFile file, folder_.Create(kIdentityPartName, os::Caching::kThrough));
  VY_RETURN_IF_ERROR(file.WriteAt(0, bytes));
  VY_RETURN_IF_ERROR(file.SyncData());
  os::CrashPoint("spill.identity_written");
  VY_RETURN_IF_ERROR(
      folder_.Rename(kIdentityPartName, folder_, kIdentityName, os::Directory::IfTaken::kRefuse));
  os::CrashPoint("spill.identity_named");
  VY_RETURN_IF_ERROR(folder_.Sync());
  return outside.Sync();
}

void Place::AddForeign(const std::string& name, const char* why) {
  if (survey_.foreign_count++ >= kForeignNames) return;
  survey_.foreign.push_back(name);
  log::Warning("entry of the spill folder is not ours, and left alone",
               {{"name", name}, {"folder", path()}, {"because", why}});
}

Status Place::LookAtEntry(const std::string& name, uint32_t owner) {
  if (name == kLockName || name == kIdentityName || name == kDamagedName) return {};
  const auto parsed = ParseName(name);
  const auto info = folder_.Look(name);
  if (info.status().Is(StatusCode::kNotFound)) return {};
  VY_RETURN_IF_ERROR(info.status());
  const char* why = nullptr;
  if (!parsed && name != kIdentityPartName) why = "its name is none of ours";
  if (info->kind != os::FileInfo::Kind::kFile) why = "it is no ordinary file";
  if (info->owner != owner) why = "it belongs to another user";
  if (info->links > 1) why = "it has a second name";
  if (why != nullptr) {
    AddForeign(name, why);
    return {};
  }
  if (!parsed || parsed->part) {
    VY_RETURN_IF_ERROR(folder_.Remove(name));
    ++survey_.parts_removed;
    return {};
  }
  survey_.files.push_back(parsed->key);
  entries_[parsed->key] = {.bytes = info->size};
  ++figures_.files;
  figures_.bytes += info->size;
  return {};
}

Status Place::LookAround() {
  const uint32_t owner = os::EffectiveUser();
  std::vector<std::string> names;
  VY_RETURN_IF_ERROR(folder_.ForEach([&](std::string_view name) { names.emplace_back(name); }));
  for (const std::string& name : names) VY_RETURN_IF_ERROR(LookAtEntry(name, owner));
  if (survey_.foreign_count > survey_.foreign.size()) {
    log::Warning("more entries of the spill folder are not ours",
                 {{"folder", path()}, {"count", survey_.foreign_count}});
  }
  auto damaged = folder_.OpenChild(kDamagedName);
  if (damaged.status().Is(StatusCode::kNotFound)) return {};
  if (damaged.status().Is(StatusCode::kInvalid)) {
    AddForeign(kDamagedName, "it is no folder");
    return {};
  }
  VY_RETURN_IF_ERROR(damaged.status());
  return damaged->ForEach([&](std::string_view name) {
    const auto info = damaged->Look(std::string(name));
    if (!info.ok()) return;
    ++figures_.damaged_files;
    figures_.damaged_bytes += info->size;
  });
}

}  // namespace vineyard::spill
