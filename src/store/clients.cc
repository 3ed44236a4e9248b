// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/clients.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "os/process.h"

namespace vineyard::store {

Result<ClientState*> ClientTable::Add(const Token& token, uint64_t pid, uint64_t uid,
                                      uint64_t volume, os::UniqueFd pidfd,
                                      std::optional<uint64_t> key) {
  uint32_t row;
  if (!free_rows_.empty()) {
    row = *free_rows_.begin();
    free_rows_.erase(free_rows_.begin());
  } else if (next_row_ < layout::kMaxClients) {
    row = next_row_++;
  } else {
    return Status::LimitExceeded(
        fmt::format("{} clients are connected; close some and try again", layout::kMaxClients));
  }
  auto client = std::make_unique<ClientState>();
  client->key = key.value_or(next_key_);
  next_key_ = std::max(next_key_, client->key + 1);
  client->token = token;
  client->pid = pid;
  client->uid = uid;
  client->volume = volume;
  client->pidfd = std::move(pidfd);
  client->row = row;
  client->since = os::Clock::now();
  layout::ClientRow& r = ledger_.row(row);
  r.token_high = token.high;
  r.token_low = token.low;
  r.pid = pid;
  r.volume = volume;
  r.acknowledged = 0;
  r.faults = r.fatal_request = 0;
  for (layout::Answer& a : r.answers) a = {};
  r.client_key.store(client->key, std::memory_order_release);
  ClientState* result = client.get();
  by_token_[token] = client->key;
  ++of_socket_[{volume, false}];
  clients_[client->key] = std::move(client);
  return result;
}

void ClientTable::Remove(uint64_t key) {
  const auto it = clients_.find(key);
  if (it == clients_.end()) return;
  ledger_.row(it->second->row).client_key.store(0, std::memory_order_release);
  free_rows_.insert(it->second->row);
  by_token_.erase(it->second->token);
  const auto of_socket = of_socket_.find({it->second->volume, it->second->reads_only});
  if (--of_socket->second == 0) of_socket_.erase(of_socket);
  clients_.erase(it);
}

uint64_t ClientTable::CountOf(uint64_t volume, bool reads_only) const {
  const auto it = of_socket_.find({volume, reads_only});
  return it == of_socket_.end() ? 0 : it->second;
}

void ClientTable::NoteSocket(ClientState& client, bool reads_only) {
  const auto before = of_socket_.find({client.volume, client.reads_only});
  if (--before->second == 0) of_socket_.erase(before);
  client.reads_only = reads_only;
  ++of_socket_[{client.volume, reads_only}];
}

ClientState* ClientTable::Find(uint64_t key) {
  const auto it = clients_.find(key);
  return it == clients_.end() ? nullptr : it->second.get();
}

ClientState* ClientTable::Find(const Token& token) {
  const auto it = by_token_.find(token);
  return it == by_token_.end() ? nullptr : Find(it->second);
}

Result<std::optional<layout::Answer>> ClientTable::Recall(const ClientState& client,
                                                          uint64_t number) const {
  const layout::ClientRow& row = ledger_.row(client.row);
  if (number <= row.acknowledged) {
    return Status::Protocol(fmt::format("request number {} is not above {}, which was acknowledged",
                                        number, row.acknowledged));
  }
  const layout::Answer& answer = row.answers[number % layout::kAnswerWindow];
  if (answer.number != number) return std::optional<layout::Answer>();
  return std::optional(answer);
}

void ClientTable::Note(const ClientState& client, const layout::Answer& answer) {
  ledger_.row(client.row).answers[answer.number % layout::kAnswerWindow] = answer;
}

void ClientTable::Acknowledge(const ClientState& client, uint64_t number) {
  layout::ClientRow& row = ledger_.row(client.row);
  row.acknowledged = std::max(row.acknowledged, number);
}

void ClientTable::NoteFault(const ClientState& client, uint64_t request, uint64_t faults) {
  layout::ClientRow& row = ledger_.row(client.row);
  row.faults = faults;
  row.fatal_request = request;
}

uint64_t ClientTable::FaultsOf(uint64_t pid) const {
  uint64_t faults = 0;
  for (const auto& [key, client] : clients_) {
    if (client->pid == pid) faults += this->faults(*client);
  }
  return faults;
}

std::string ClientTable::WhoHolds(const std::unordered_set<uint64_t>& blobs) const {
  std::vector<std::pair<size_t, const ClientState*>> holders;
  for (const auto& [key, client] : clients_) {
    size_t count = 0;
    for (const uint64_t blob : client->mapped) count += blobs.contains(blob) ? 1 : 0;
    for (const uint64_t blob : client->reservations) count += blobs.contains(blob) ? 1 : 0;
    if (count > 0) holders.emplace_back(count, client.get());
  }
  std::ranges::sort(holders, std::greater(), [](const auto& h) { return h.first; });
  std::string text;
  for (size_t i = 0; i < holders.size() && i < 3; ++i) {
    const ClientState& c = *holders[i].second;
    const std::string name =
        c.program.empty() ? os::ProcessName(static_cast<pid_t>(c.pid)) : c.program;
    text += fmt::format("{}{} (pid {})", i == 0 ? "" : ", ", name.empty() ? "?" : name, c.pid);
  }
  return text;
}

}  // namespace vineyard::store
