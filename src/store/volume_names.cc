// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How names end: dropped, after their time, or with the client that they live with.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "store/volume.h"

namespace vineyard::store {

using layout::Answer;
using layout::Ref;

namespace {

// Names that end in one go. Others' requests come in between.
constexpr size_t kMostEndedAtOnce = 256;

}  // namespace

Result<Answer> Volume::DropName(const Request& request, std::string_view name,
                                std::optional<uint64_t> if_version) {
  VY_RETURN_IF_ERROR(CheckName(name, if_version));
  const auto it = names_.find(name);
  if (it == names_.end()) {
    return Status::NotFound(fmt::format("no name '{}' in volume '{}'", name, name_));
  }
  return DropFound(request, it);
}

Result<Answer> Volume::DropFound(const Request& request, Names::iterator it) {
  Removal removal = PlanUnnaming(it->second, {});
  Transaction tx(*this);
  tx.Change(NameKeyOf(it->first), it->second.ref, Ref());
  StageRemoval(tx, removal, it->first);
  const Answer answer{request.number, it->second.id, removal.objects, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  UnlinkName(it);
  names_.erase(it);
  FinishRemoval(std::move(removal));
  return answer;
}

// ---- names that end by themselves

void Volume::ForgetName(const Names::value_type& name) {
  const NameEntry& entry = name.second;
  if (!keeping_.empty()) LetGo(name.first);
  if (entry.ends) name_ends_.erase({*entry.ends, name.first});
  if (entry.client != 0) leases_.erase({entry.client, name.first});
  hidden_names_ -= name.first.front() == kHiddenName ? 1 : 0;
}

std::chrono::nanoseconds Volume::LingerOf(std::string_view name, const NameEntry& entry) const {
  return leases_.at({entry.client, name});
}

void Volume::EndLeases(const std::function<bool(uint64_t client)>& is_gone, os::TimePoint now) {
  for (auto it = leases_.begin(); it != leases_.end();) {
    const uint64_t client = it->first.first;
    if (is_gone(client)) ended_clients_.emplace(client, now);
    it = leases_.lower_bound({client + 1, {}});
  }
}

// What outlives its client gets a time of its own. An engine that ends before has not forgotten whose it was.
void Volume::EndLease(std::string_view name, os::TimePoint client_ended) {
  const auto it = names_.find(name);
  NameEntry entry = it->second;
  const os::TimePoint with_client = client_ended + LingerOf(name, entry);
  const os::TimePoint ends = std::min(entry.ends.value_or(with_client), with_client);
  if (ends <= client_ended) {
    VY_CHECK(DropFound({}, it).ok());  // dropping writes no record, and takes what fits
    return;
  }
  const std::byte* record = arenas_.At(entry.ref);
  const layout::NameTerm term{.ends_ns = ends.time_since_epoch().count()};
  const ArenaSet::Overdraft overdraft(arenas_);
  Transaction tx(*this);
  auto fresh =
      tx.Stage(layout::FieldsOf(record), layout::HeadOf(record), layout::WriteNameTerm(term));
  if (fresh.ok()) tx.Change(layout::FieldsOf(record).id, entry.ref, *fresh);
  // Where there is no memory for that the time stands in this heap only: another engine would count it anew.
  if (fresh.ok() && tx.Commit(host_.ledger(), nullptr, nullptr, {}).ok()) entry.ref = *fresh;
  entry.client = 0;
  entry.ends = ends;
  LinkName(name, entry);
  Keep(name);
}

void Volume::DropEnded(os::TimePoint now) {
  size_t left = kMostEndedAtOnce;
  while (!ended_clients_.empty()) {
    const auto [client, at] = *ended_clients_.begin();
    const auto lease = leases_.lower_bound({client, {}});
    if (lease == leases_.end() || lease->first.first != client) {
      ended_clients_.erase(client);
      continue;
    }
    if (left-- == 0) return;
    EndLease(std::string(lease->first.second), at);
  }
  while (!name_ends_.empty() && name_ends_.begin()->first <= now) {
    if (left-- == 0) return;
    VY_CHECK(DropFound({}, names_.find(name_ends_.begin()->second)).ok());  // as above
  }
}

std::optional<os::TimePoint> Volume::NextNameEnd() const {
  if (!ended_clients_.empty()) return ended_clients_.begin()->second;
  return name_ends_.empty() ? std::nullopt : std::optional(name_ends_.begin()->first);
}

}  // namespace vineyard::store
