// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Client::Impl: the connection of a client, replaced by a new one in a forked child.
#pragma once

#include <atomic>
#include <memory>

#include "client/connection.h"
#include "vineyard/client.h"

namespace vineyard {

namespace internal {
class AllocationPool;
}

class Client::Impl final : public client::ExtentOpener,
                           public std::enable_shared_from_this<Client::Impl> {
 public:
  static std::shared_ptr<Impl> Make(const ConnectOptions& options);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// This process's connection: in a forked child a new one, opened when it is first used.
  client::Connection& connection();
  /// The parent's or this process's: for facts that don't change.
  [[nodiscard]] uint64_t epoch() const { return current_.load(std::memory_order_acquire)->epoch; }
  [[nodiscard]] const ConnectOptions& options() const { return options_; }
  [[nodiscard]] const std::string& volume() const { return volume_; }
  void set_volume(std::string name) { volume_ = std::move(name); }

  Result<os::Mapping> MapPrivate(ObjectId blob) override;

  /// Of this client's allocators; made at the first call.
  Result<std::shared_ptr<internal::AllocationPool>> Pool();
  void ClosePool();

 private:
  explicit Impl(ConnectOptions options);

  struct Current {
    Current(const ConnectOptions& options, std::string pod, uint64_t e)
        : connection(options, std::move(pod)), epoch(e) {}
    client::Connection connection;
    uint64_t epoch;
  };
  const ConnectOptions options_;
  const std::string pod_;
  std::string volume_;
  std::shared_ptr<internal::AllocationPool> pool_;  // guarded by the allocation registry's mutex
  std::atomic<Current*> current_;  // owned; an ancestor's is let go of, never destroyed
};

namespace client {

/// What a large object's own bytes are written to: a reservation of the instance.
struct ReservedExtent {
  ObjectId blob;
  uint64_t size = 0;
  std::vector<os::UniqueFd> fds;
  std::vector<os::FilePart> parts;
};

Result<ReservedExtent> Reserve(Connection& connection, uint64_t size, os::TimePoint deadline);
/// Without waiting for room: only for the answer, until the deadline.
Result<ReservedExtent> TryReserve(Connection& connection, uint64_t size, os::TimePoint deadline);
/// Best effort; what fails here is given back when the process ends.
void Abort(Connection& connection, ObjectId blob);
/// `attempts`: how often the kernel is asked, 2 ms apart, while it refuses.
Status SealChunks(const ReservedExtent& extent, int attempts = 50);

Result<Object> GetObject(Connection& connection, ObjectId id, const GetOptions& options);
Result<Object> GetObject(Connection& connection, std::string_view name, const GetOptions& options);
Result<NameInfo> FindName(Connection& connection, std::string_view name, const GetOptions& options);
Result<Blob> GetBlob(Connection& connection, ObjectId id, os::TimePoint deadline);
/// kNotFound when the extent has been deleted.
Result<os::Mapping> MapPrivate(Connection& connection, ObjectId blob, os::TimePoint deadline);
Result<ObjectId> PutObject(Connection& connection, const ObjectBuilder& builder,
                           const PutOptions& options);
/// In the order of the ids; what is large is mapped with one request for all.
std::vector<Result<Object>> GetObjects(Connection& connection, std::span<const ObjectId> ids,
                                       const GetOptions& options);

/// What an answer to a change says beside "done".
Result<uint64_t> DoneValue(const Result<Answer>& answer);
/// Returns how many went.
Result<uint64_t> DeleteObjects(Connection& connection, std::span<const ObjectId> ids,
                               const DeleteOptions& options);

/// Milliseconds left, for the instance to wait at most.
uint64_t MillisecondsUntil(os::TimePoint deadline);
/// As messages say it: 0 for a name that stays.
inline uint64_t TtlMilliseconds(const std::optional<Timeout>& ttl) {
  return ttl ? static_cast<uint64_t>(ttl->count()) : 0;
}
inline std::optional<Timeout> TtlOf(uint64_t milliseconds) {
  return milliseconds == 0 ? std::nullopt : std::optional(Timeout(milliseconds));
}
inline std::optional<Timeout> LingerOf(uint64_t client, uint64_t milliseconds) {
  return client == 0 ? std::nullopt : std::optional(Timeout(milliseconds));
}
/// An instance that knows nothing of durability would take what it is asked for without a word.
Status CheckDurability(Connection& connection, Durability durability);
/// Likewise of names that keep.
Status CheckKeep(Connection& connection, bool keep);
Status CheckTerm(const std::optional<Timeout>& ttl, const std::optional<Timeout>& linger);
/// Until when the client waits for the answer of a request that may wait at the instance until
/// `deadline`: the instance's own answer says more than a time-out here.
os::TimePoint WithGrace(os::TimePoint deadline);

}  // namespace client
}  // namespace vineyard
