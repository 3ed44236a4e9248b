// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/client.h"

#include <algorithm>
#include <cstdlib>
#include <regex>

#include <fmt/format.h>

#include "client/allocation_pool.h"
#include "client/allocation_registry.h"
#include "client/fork.h"
#include "client/impl.h"
#include "client/in_place.h"
#include "client/reservation.h"

namespace vineyard {

using client::Answer;
using client::Change;
using client::Connection;
using client::DoneValue;
using client::Outgoing;
using client::Question;
using flatbuffers::FlatBufferBuilder;

namespace {

constexpr uint32_t kNamesAPage = 10'000;
constexpr uint32_t kObjectsAPage = 1'000;

std::string PodOfEnvironment() {
  const char* name = std::getenv("POD_NAME");
  const char* space = std::getenv("POD_NAMESPACE");
  if (name == nullptr) return {};
  return space ? fmt::format("{}/{}", space, name) : name;
}

/// A user's pattern, as the instance or this process applies it.
class Pattern {
 public:
  static Result<Pattern> Make(const std::string& text, bool regex) {
    Pattern p;
    p.glob_ = regex ? "*" : text;
    if (regex) {
      try {
        p.regex_.emplace(text);
      } catch (const std::regex_error& e) {
        return Status::Invalid(fmt::format("'{}' is no regular expression: {}", text, e.what()));
      }
    }
    return p;
  }
  [[nodiscard]] const std::string& glob() const { return glob_; }
  [[nodiscard]] bool Matches(const std::string& text) const {
    return !regex_ || std::regex_search(text, *regex_);
  }

 private:
  std::string glob_;
  std::optional<std::regex> regex_;  // run here: a costly one delays nobody else
};

}  // namespace

Result<uint64_t> client::DoneValue(const Result<Answer>& answer) {
  if (!answer.ok()) return answer.status();
  const fb::Done* done = answer->reply().body_as_Done();
  if (done == nullptr) return Status::Protocol("the instance's answer to a change is none");
  return done->value();
}

// ---- Impl

Client::Impl::Impl(ConnectOptions options)
    : options_(std::move(options)), pod_(PodOfEnvironment()),
      current_(new Current(options_, pod_, client::ForkEpoch())) {}

std::shared_ptr<Client::Impl> Client::Impl::Make(const ConnectOptions& options) {
  std::shared_ptr<Impl> impl(new Impl(options));
  impl->connection().extents().SetOpener(impl);
  return impl;
}

Client::Impl::~Impl() {
  Current* current = current_.load(std::memory_order_acquire);
  if (current->epoch == client::ForkEpoch()) {
    delete current;
  } else {
    current->connection.Abandon();
  }
}

Connection& Client::Impl::connection() {
  Current* current = current_.load(std::memory_order_acquire);
  const uint64_t epoch = client::ForkEpoch();
  if (current->epoch == epoch) return current->connection;
  // A forked child. The parent's connection may be locked by a thread that does not exist here.
  auto fresh = std::make_unique<Current>(options_, pod_, epoch);
  fresh->connection.extents().SetOpener(weak_from_this());
  fresh->connection.ExpectInlineMax(current->connection.inline_max());
  Current* seen = current;
  if (current_.compare_exchange_strong(seen, fresh.get())) {
    current->connection.Abandon();
    return fresh.release()->connection;
  }
  return seen->connection;  // another thread was faster
}

Result<std::shared_ptr<internal::AllocationPool>> Client::Impl::Pool() {
  {
    const std::lock_guard lock(internal::AllocationRegistry::Mutex());
    if (pool_ != nullptr) return pool_;
  }
  VY_ASSIGN_OR_RETURN(auto made, internal::AllocationPool::Make(options_));
  const std::lock_guard lock(internal::AllocationRegistry::Mutex());
  if (pool_ == nullptr) pool_.swap(made);  // else another thread was faster
  return pool_;
}

void Client::Impl::ClosePool() {
  std::shared_ptr<internal::AllocationPool> pool;
  {
    const std::lock_guard lock(internal::AllocationRegistry::Mutex());
    pool.swap(pool_);
  }
  if (pool != nullptr) pool->Close();
}

// ---- life

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&& other) noexcept {
  if (this != &other) {
    Close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Client::~Client() { Close(); }

Result<Client> Client::Connect(const ConnectOptions& options) {
  if (options.socket.empty()) return Status::Invalid("no socket is named");
  auto impl = Impl::Make(options);
  Connection& connection = impl->connection();
  VY_RETURN_IF_ERROR(connection.Open(connection.Deadline(std::nullopt)));
  impl->set_volume(connection.facts().volume);
  return Client(std::move(impl));
}

Result<Client> Client::Connect(std::string_view socket) {
  return Connect(ConnectOptions{.socket = std::string(socket), .interrupted = {}});
}

void Client::Close() {
  if (impl_ == nullptr) return;
  impl_->ClosePool();
  impl_->connection().Close();
}

bool Client::connected() const { return impl_ && !impl_->connection().closed(); }
const std::string& Client::socket() const { return impl_->options().socket; }
const std::string& Client::volume() const { return impl_->volume(); }
uint64_t Client::inline_max() const { return impl_->connection().inline_max(); }

// ---- blobs

Result<MutableBlob> Client::CreateBlob(uint64_t size, const CallOptions& options) {
  const os::TimePoint deadline = impl_->connection().Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(auto made, internal::Reservation::Make(impl_, size, deadline));
  return MutableBlob(std::move(made));
}

Result<Blob> Client::Seal(MutableBlob&& blob, const CallOptions& options) {
  const MutableBlob taken = std::move(blob);
  if (!taken.valid()) return Status::FailedPrecondition("this blob is sealed or given back");
  return taken.reservation_->Seal(impl_->connection().Deadline(options.timeout));
}

Result<Blob> Client::GetBlob(ObjectId id, const CallOptions& options) {
  Connection& connection = impl_->connection();
  return client::GetBlob(connection, id, connection.Deadline(options.timeout));
}

// ---- memory

Result<Allocation> Client::Allocate(uint64_t size, const CallOptions& options) {
  const os::TimePoint deadline = impl_->connection().Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(auto made, internal::AllocatedMemory::Make(impl_, size, deadline));
  return Allocation(std::move(made));
}

Result<Allocator> Client::MakeAllocator(const AllocatorOptions& options) {
  const std::string missing = Allocator::MissingHugePages();
  if (!missing.empty() && !options.without_huge_pages) {
    return Status::FailedPrecondition(
        "shared memory gets no huge pages here, and arrays in it would make this program slower; " +
        missing);
  }
  VY_ASSIGN_OR_RETURN(auto pool, impl_->Pool());
  if (options.limit > 0) {
    pool->SetLimit(options.limit);
  } else if (!pool->has_limit()) {
    VY_ASSIGN_OR_RETURN(const InstanceStatus status, GetStatus());
    pool->SetLimit(status.memory_limit / 2);
  }
  pool->ExpectMany();
  return Allocator(std::move(pool), options.threshold);
}

std::vector<Placement> Client::PlacementsOf(std::span<const std::span<const std::byte>> buffers,
                                            Copying copying) {
  Connection& connection = impl_->connection();
  connection.Open(connection.Deadline(std::nullopt)).IgnoreError();  // only a forked child need
  return client::PlacementsOf(&connection, buffers, copying);
}

// ---- objects

Result<ObjectId> Client::Put(const ObjectBuilder& builder, const PutOptions& options) {
  return client::PutObject(impl_->connection(), builder, options);
}

Result<Object> Client::Get(ObjectId id, const GetOptions& options) {
  return client::GetObject(impl_->connection(), id, options);
}

std::vector<Result<Object>> Client::GetMany(std::span<const ObjectId> ids,
                                            const GetOptions& options) {
  return client::GetObjects(impl_->connection(), ids, options);
}

Result<Object> Client::Get(std::string_view name, const GetOptions& options) {
  return client::GetObject(impl_->connection(), name, options);
}

Result<bool> Client::Exists(ObjectId id, const CallOptions& options) {
  Status s;
  if (id.is_blob()) {
    s = GetBlob(id, options).status();
  } else {
    s = Get(id, {.timeout = options.timeout, .map_buffers = false}).status();
  }
  if (s.Is(StatusCode::kNotFound)) return false;
  if (!s.ok()) return s;
  return true;
}

Result<uint64_t> Client::Delete(const std::vector<ObjectId>& ids, const DeleteOptions& options) {
  return client::DeleteObjects(impl_->connection(), ids, options);
}

Result<std::vector<ObjectInfo>> Client::List(const ListOptions& options) {
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(const Pattern pattern, Pattern::Make(options.pattern, options.regex));
  std::vector<ObjectInfo> found;
  uint64_t after = 0;
  bool more = true;
  while (more && found.size() < options.limit) {
    const size_t wanted = options.limit - found.size();
    const auto page = static_cast<uint32_t>(
        options.regex ? kObjectsAPage : std::min<size_t>(wanted, kObjectsAPage));
    const Outgoing list =
        Question(fb::RequestBody::ListObjects, [&](FlatBufferBuilder& b, uint64_t) {
          return fb::CreateListObjects(b, b.CreateString(pattern.glob()), options.include_parts,
                                       after, page, options.member.value())
              .Union();
        });
    VY_ASSIGN_OR_RETURN(const Answer answer, connection.Call(list, deadline));
    const fb::Objects* objects = answer.reply().body_as_Objects();
    if (objects == nullptr) return Status::Protocol("the instance's list is none");
    std::span<const std::byte> rest = answer.payload;
    for (uint32_t i = 0; i < objects->count(); ++i) {
      uint64_t length = 0;
      if (rest.size() < sizeof length) return Status::Protocol("the instance's list is cut off");
      std::copy_n(rest.data(), sizeof length, reinterpret_cast<std::byte*>(&length));
      rest = rest.subspan(sizeof length);
      if (length > rest.size()) return Status::Protocol("the instance's list is cut off");
      VY_ASSIGN_OR_RETURN(const auto* descriptor, wire::DecodeDescriptor(rest.first(length)));
      rest = rest.subspan(std::min(wire::Pad8(length), rest.size()));
      ObjectInfo info = wire::ToObjectInfo(*descriptor);
      if (pattern.Matches(info.type_name) && found.size() < options.limit) {
        found.push_back(std::move(info));
      }
    }
    after = objects->last();
    more = objects->more();
  }
  return found;
}

Status Client::SetLabels(ObjectId id, const std::vector<Label>& labels,
                         const CallOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing set =
      Change(fb::RequestBody::SetLabels, [&](FlatBufferBuilder& b, uint64_t number) {
        std::vector<flatbuffers::Offset<fb::Label>> list;
        for (const Label& l : labels) {
          list.push_back(fb::CreateLabel(b, b.CreateString(l.key), b.CreateString(l.value)));
        }
        return fb::CreateSetLabels(b, number, id.value(), b.CreateVector(list)).Union();
      });
  return DoneValue(connection.Call(set, connection.Deadline(options.timeout))).status();
}

// ---- names

Result<uint64_t> Client::PutName(std::string_view name, ObjectId id, const NameOptions& options) {
  Connection& connection = impl_->connection();
  VY_RETURN_IF_ERROR(client::CheckTerm(options.ttl, options.linger));
  VY_RETURN_IF_ERROR(client::CheckDurability(connection, options.durability));
  VY_RETURN_IF_ERROR(client::CheckKeep(connection, options.keep));
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  const Outgoing put = Change(fb::RequestBody::PutName, [&](FlatBufferBuilder& b, uint64_t number) {
    const auto text = b.CreateString(name.data(), name.size());
    return fb::CreatePutName(b, number, text, id.value(), options.if_version.has_value(),
                             options.if_version.value_or(0), options.owns,
                             client::TtlMilliseconds(options.ttl), options.linger.has_value(),
                             client::TtlMilliseconds(options.linger),
                             options.durability == Durability::kDisk, options.keep,
                             options.keep ? client::MillisecondsUntil(deadline) : 0)
        .Union();
  });
  return DoneValue(connection.Call(put, options.keep ? client::WithGrace(deadline) : deadline));
}

Result<NameInfo> Client::GetName(std::string_view name, const GetOptions& options) {
  return client::FindName(impl_->connection(), name, options);
}

Status Client::DropName(std::string_view name, const NameOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing drop =
      Change(fb::RequestBody::DropName, [&](FlatBufferBuilder& b, uint64_t number) {
        const auto text = b.CreateString(name.data(), name.size());
        return fb::CreateDropName(b, number, text, options.if_version.has_value(),
                                  options.if_version.value_or(0))
            .Union();
      });
  return DoneValue(connection.Call(drop, connection.Deadline(options.timeout))).status();
}

Result<std::vector<NameInfo>> Client::ListNames(const ListNamesOptions& options) {
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(const Pattern pattern, Pattern::Make(options.pattern, options.regex));
  std::vector<NameInfo> found;
  std::string after;
  bool more = true;
  while (more && found.size() < options.limit) {
    const size_t wanted = options.limit - found.size();
    const auto page =
        static_cast<uint32_t>(options.regex ? kNamesAPage : std::min<size_t>(wanted, kNamesAPage));
    const Outgoing list = Question(fb::RequestBody::ListNames, [&](FlatBufferBuilder& b, uint64_t) {
      const auto match = options.prefix && !options.regex ? fb::Match::Prefix : fb::Match::Glob;
      const auto text = b.CreateString(pattern.glob());
      return fb::CreateListNames(b, match, text, b.CreateString(after), page, options.id.value())
          .Union();
    });
    VY_ASSIGN_OR_RETURN(const Answer answer, connection.Call(list, deadline));
    const fb::Names* names = answer.reply().body_as_Names();
    if (names == nullptr) return Status::Protocol("the instance's list is none");
    for (const fb::NameEntry* n : *names->names()) {
      after = n->name()->str();
      if (!pattern.Matches(after) || found.size() >= options.limit) continue;
      found.push_back({after, ObjectId(n->id()), n->version(), client::TtlOf(n->ttl_ms()),
                       client::LingerOf(n->client(), n->linger_ms()), n->client(), n->durable(),
                       n->keeps()});
    }
    const std::string last = wire::ToString(names->last());
    more = names->more() && (last > after || names->names()->size() > 0);
    after = std::max(after, last);
  }
  return found;
}

// ---- the instance

Result<InstanceStatus> Client::GetStatus(const CallOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing get = Question(fb::RequestBody::GetStatus, [](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateGetStatus(b).Union();
  });
  VY_ASSIGN_OR_RETURN(const Answer answer,
                      connection.Call(get, connection.Deadline(options.timeout)));
  const fb::StatusInfo* s = answer.reply().body_as_StatusInfo();
  if (s == nullptr) return Status::Protocol("the instance's status is none");
  const Connection::Facts facts = connection.facts();
  InstanceStatus status;
  status.instance_uuid = facts.instance_uuid;
  status.instance_id = facts.instance_id;
  status.version = facts.version;
  status.deployment = wire::ToString(s->deployment());
  status.volume = facts.volume;
  status.read_only = facts.read_only;
  status.generation = facts.generation;
  status.memory_usage = s->memory_usage();
  status.memory_limit = s->memory_limit();
  status.memory_held = s->memory_held();
  status.memory_lingering = s->memory_lingering();
  status.memory_overhead = s->memory_overhead();
  status.memory_ready = s->memory_ready();
  status.instance_limit = s->instance_limit();
  status.objects = s->objects();
  status.blobs = s->blobs();
  status.names = s->names();
  status.leases = s->leases();
  status.connections = s->connections();
  status.waiting = s->waiting();
  status.former_program = s->former_program();
  status.on_probation = s->on_probation();
  status.spilled_bytes = s->spilled_bytes();
  status.spilled_blobs = s->spilled_blobs();
  status.disk_bytes = s->disk_bytes();
  status.loads = s->loads();
  status.evictions = s->evictions();
  status.damaged = s->damaged();
  status.memory_guaranteed = s->memory_guaranteed();
  status.memory_kept = s->memory_kept();
  status.not_on_disk = s->not_on_disk();
  status.set_aside = s->set_aside();
  status.not_restored = s->not_restored();
  status.kept_by_names = s->kept_by_names();
  return status;
}

std::string_view Version() { return VINEYARD_VERSION; }

}  // namespace vineyard
