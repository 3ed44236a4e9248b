// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/reservation.h"

#include <cstring>

namespace vineyard {
namespace internal {

Result<std::shared_ptr<Reservation>> Reservation::Make(std::shared_ptr<Client::Impl> impl,
                                                       uint64_t size, os::TimePoint deadline) {
  client::Connection& connection = impl->connection();
  std::shared_ptr<Reservation> r(new Reservation());
  VY_ASSIGN_OR_RETURN(r->extent_, client::Reserve(connection, size, deadline));
  // From here on the destructor gives it back.
  r->epoch_ = impl->epoch();
  r->impl_ = std::move(impl);
  if (r->extent_.parts.empty()) {
    r->small_.reset(new (std::align_val_t{64}) std::byte[std::max<uint64_t>(size, 1)]());
    r->bytes_ = {r->small_.get(), size};
    return r;
  }
  VY_ASSIGN_OR_RETURN(os::Mapping * mapping, r->shield_.Map(r->extent_.parts, &r->extent_.fds));
  r->bytes_ = mapping->bytes().first(size);
  return r;
}

Status Reservation::Publish(ObjectId stream, os::TimePoint deadline) {
  if (done_ || epoch_ != impl_->epoch()) {
    return Status::FailedPrecondition("this blob is sealed, given back, or the parent process's");
  }
  client::Connection& connection = impl_->connection();
  if (!extent_.parts.empty()) {
    VY_RETURN_IF_ERROR(shield_.mapping().MakePrivate(extent_.parts));
    shield_.Lower();
    VY_RETURN_IF_ERROR(client::SealChunks(extent_));
    shield_.CloseFiles();
  }
  const uint64_t size = bytes_.size();
  const bool small = extent_.parts.empty();
  const ObjectId blob = extent_.blob;
  client::Outgoing put =
      client::Change(fb::RequestBody::Put, [&](flatbuffers::FlatBufferBuilder& b, uint64_t number) {
        return fb::CreatePut(b, number, fb::PutKind::Blob, 0, small ? size : 0, blob.value(), size,
                             0, false, 0, client::MillisecondsUntil(deadline), 0, stream.value())
            .Union();
      });
  if (small) put.payload = {bytes_};
  VY_RETURN_IF_ERROR(connection.Call(put, client::WithGrace(deadline)).status());
  connection.RemoveReservation(blob.value());
  done_ = true;
  return {};
}

Result<Blob> Reservation::Seal(os::TimePoint deadline) {
  VY_RETURN_IF_ERROR(Publish(ObjectId(), deadline));
  return client::GetBlob(impl_->connection(), extent_.blob, deadline);
}

Result<ObjectId> Reservation::SealInto(ObjectId stream, os::TimePoint deadline) {
  VY_RETURN_IF_ERROR(Publish(stream, deadline));
  return extent_.blob;
}

void Reservation::Abort() {
  if (done_ || impl_ == nullptr) return;
  done_ = true;
  if (epoch_ != impl_->epoch()) return;  // the parent's, who still writes to it
  client::Abort(impl_->connection(), extent_.blob);
}

}  // namespace internal

MutableBlob::MutableBlob(std::shared_ptr<internal::Reservation> reservation)
    : reservation_(std::move(reservation)) {}

MutableBlob& MutableBlob::operator=(MutableBlob&& other) noexcept {
  if (this != &other) {
    Abort();
    reservation_ = std::move(other.reservation_);
  }
  return *this;
}

MutableBlob::~MutableBlob() { Abort(); }

ObjectId MutableBlob::id() const { return reservation_ ? reservation_->id() : ObjectId(); }

std::span<std::byte> MutableBlob::bytes() const {
  return reservation_ ? reservation_->bytes() : std::span<std::byte>();
}

void MutableBlob::Abort() {
  if (reservation_) reservation_->Abort();
  reservation_.reset();
}

std::shared_ptr<void> MutableBlob::keep_alive() const { return reservation_; }

}  // namespace vineyard
