// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/spill_requests.h"

namespace vineyard::store {

uint64_t SpillRequests::Add(SpillRequest request) {
  const uint64_t ticket = next_ticket_++;
  deadlines_.emplace(request.deadline, ticket);
  if (request.kind == Kind::kLoad) {
    for (const uint64_t blob : request.blobs) IndexOf(Kind::kLoad)[blob].insert(ticket);
  }
  all_.emplace(ticket, std::move(request));
  return ticket;
}

SpillRequest* SpillRequests::Find(uint64_t ticket) {
  const auto it = all_.find(ticket);
  return it == all_.end() || it->second.over ? nullptr : &it->second;
}

void SpillRequests::Await(uint64_t ticket, uint64_t blob) {
  if (all_.at(ticket).awaited.insert(blob).second) IndexOf(Kind::kEvict)[blob].insert(ticket);
}

bool SpillRequests::Arrived(uint64_t ticket, uint64_t blob) {
  SpillRequest& request = all_.at(ticket);
  if (request.awaited.erase(blob) == 0) return false;
  if (request.kind == Kind::kEvict) Unlink(ticket, blob, Kind::kEvict);
  return true;
}

std::vector<uint64_t> SpillRequests::WhoWant(Kind kind, uint64_t blob) const {
  const auto it = IndexOf(kind).find(blob);
  if (it == IndexOf(kind).end()) return {};
  return {it->second.begin(), it->second.end()};
}

uint64_t SpillRequests::First(Kind kind, uint64_t blob) const {
  const auto it = IndexOf(kind).find(blob);
  return it == IndexOf(kind).end() ? 0 : *it->second.begin();
}

void SpillRequests::Unlink(uint64_t ticket, uint64_t blob, Kind kind) {
  const auto it = IndexOf(kind).find(blob);
  it->second.erase(ticket);
  if (it->second.empty()) IndexOf(kind).erase(it);
}

void SpillRequests::Unlink(uint64_t ticket, const SpillRequest& request) {
  deadlines_.erase({request.deadline, ticket});
  if (request.kind == Kind::kLoad) {
    for (const uint64_t blob : request.blobs) Unlink(ticket, blob, Kind::kLoad);
  } else {
    for (const uint64_t blob : request.awaited) Unlink(ticket, blob, Kind::kEvict);
  }
}

SpillRequest& SpillRequests::Finish(uint64_t ticket, Status status) {
  SpillRequest& request = all_.at(ticket);
  Unlink(ticket, request);
  request.over = true;
  request.status = std::move(status);
  over_.push_back(ticket);
  return request;
}

std::optional<SpillRequest> SpillRequests::TakeOver() {
  while (!over_.empty()) {
    auto node = all_.extract(over_.front());
    over_.pop_front();
    if (!node.empty()) return std::move(node.mapped());
  }
  return std::nullopt;
}

std::optional<SpillRequest> SpillRequests::Remove(uint64_t ticket) {
  auto node = all_.extract(ticket);
  if (node.empty()) return std::nullopt;
  if (!node.mapped().over) Unlink(ticket, node.mapped());
  return std::move(node.mapped());
}

std::optional<os::TimePoint> SpillRequests::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::vector<uint64_t> SpillRequests::Late(os::TimePoint now) const {
  std::vector<uint64_t> late;
  for (auto it = deadlines_.begin(); it != deadlines_.end() && it->first <= now; ++it) {
    late.push_back(it->second);
  }
  return late;
}

}  // namespace vineyard::store
