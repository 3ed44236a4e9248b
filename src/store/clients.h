// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ClientTable: who uses the instance, what each holds, and the answers each may not have yet.
//
// A client is a token (one Client object of one process), not a connection: it outlives connections
// and engines, and ends when it says goodbye or its process dies. Its answers lie in the ledger. Owned
// by the engine's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "layout/ledger.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::store {

struct Token {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Token&) const = default;
};

/// A process whose requests have ended as many engines has no more served.
inline constexpr uint64_t kMostFaults = 2;

/// Of one client. Small ones cost no memory that admission counts, but some of the engine's own.
inline constexpr size_t kMaxReservations = 16'384;

struct ClientState {
  uint64_t key = 0;
  Token token;
  uint64_t pid = 0;
  uint64_t uid = 0;
  uint64_t volume = 0;
  os::UniqueFd pidfd;
  uint32_t row = 0;
  bool connected = false;
  bool claimed = true;  // false: known from the engine before, not heard of since
  std::unordered_set<uint64_t> reservations;  // blobs
  std::unordered_set<uint64_t> mapped;        // blobs
  std::unordered_set<uint64_t> pinned;        // blobs; see Spiller::Pin
  os::Mapping idle;                           // its layout::IdleTable, if it has shared one
  bool reads_only = false;                    // it came through the volume's socket for readers
  std::string program;                        // what it says of itself, for people
  std::string pod;
  os::TimePoint since{};  // that this engine has known it
};

class ClientTable {
 public:
  explicit ClientTable(layout::Ledger ledger) : ledger_(ledger) {}

  /// kLimitExceeded when there are too many.
  Result<ClientState*> Add(const Token& token, uint64_t pid, uint64_t uid, uint64_t volume,
                           os::UniqueFd pidfd, std::optional<uint64_t> key = std::nullopt);
  void Remove(uint64_t key);

  /// No client gets this key from now on: records speak of one that had it.
  void Retire(uint64_t key) { next_key_ = std::max(next_key_, key + 1); }

  [[nodiscard]] ClientState* Find(uint64_t key);
  [[nodiscard]] ClientState* Find(const Token& token);
  [[nodiscard]] const std::map<uint64_t, std::unique_ptr<ClientState>>& all() const {
    return clients_;
  }
  /// Those that came through one socket of a volume. From the engine before, all count as writers until they
  /// come again.
  [[nodiscard]] uint64_t CountOf(uint64_t volume, bool reads_only) const;
  void NoteSocket(ClientState& client, bool reads_only);

  /// What was answered to that request, if it was; kProtocol for one that is acknowledged already.
  Result<std::optional<layout::Answer>> Recall(const ClientState& client, uint64_t number) const;
  void Note(const ClientState& client, const layout::Answer& answer);
  /// The client has all answers up to `number`.
  void Acknowledge(const ClientState& client, uint64_t number);
  [[nodiscard]] uint64_t acknowledged(const ClientState& client) const {
    return ledger_.row(client.row).acknowledged;
  }
  /// An engine before has ended by a fault while it was at this request of the client.
  void NoteFault(const ClientState& client, uint64_t request, uint64_t faults);
  [[nodiscard]] bool WasFatal(const ClientState& client, uint64_t request) const {
    return request != 0 && ledger_.row(client.row).fatal_request == request;
  }
  [[nodiscard]] uint64_t faults(const ClientState& client) const {
    return ledger_.row(client.row).faults;
  }
  /// Of all clients that the process has.
  [[nodiscard]] uint64_t FaultsOf(uint64_t pid) const;

  /// "python3 (pid 123)", the heaviest first, by what they have mapped or reserved among `blobs`.
  [[nodiscard]] std::string WhoHolds(const std::unordered_set<uint64_t>& blobs) const;

 private:
  layout::Ledger ledger_;
  std::map<uint64_t, std::unique_ptr<ClientState>> clients_;
  std::map<Token, uint64_t> by_token_;
  std::map<std::pair<uint64_t, bool>, uint64_t> of_socket_;  // how many; those that have any
  std::set<uint32_t> free_rows_;
  uint32_t next_row_ = 0;
  uint64_t next_key_ = 1;
};

}  // namespace vineyard::store
