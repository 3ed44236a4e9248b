// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a worker changes: each change is noted in its seat before it is begun and once it is answered.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "soak/worker.h"
#include "vineyard/stream.h"

namespace vineyard::soak {

namespace {

// In records. Of 1000:
constexpr struct {
  uint32_t size, share;
} kSizes[] = {{8, 250}, {100, 360}, {1000, 250}, {10'000, 100}, {100'000, 30}};
// In chunks of ordinary pages, and in huge ones. Of 10:
constexpr uint32_t kLargeSizes[] = {300'000, 300'000, 300'000, 300'000, 300'000,
                                    300'000, 1 << 20, 1 << 20, 1 << 20, (3 << 20) + 1};

}  // namespace

uint32_t Worker::AnyLargeSize() { return kLargeSizes[Below(std::size(kLargeSizes))]; }

uint32_t Worker::AnySize() {
  if (Below(1000) < options_.large) return AnyLargeSize();
  uint32_t dice = Below(1000);
  for (const auto& [size, share] : kSizes) {
    if (dice < share) return size;
    dice -= share;
  }
  return 0;  // also a size
}

std::span<const std::byte> Worker::Content(uint64_t seed, uint32_t size) {
  if (buffer_.size() < size) buffer_.resize(size);
  const auto bytes = std::span(buffer_).first(size);
  FillContent(bytes, seed);
  return bytes;
}

Status Worker::RandomChange() {
  const auto count = static_cast<uint32_t>(model().objects().size());
  Operation o{.what = Kind::kPut,
              .slot = 0,
              .count = 1,
              .name = kNoName,
              .size = AnySize(),
              .label = 0,
              .seed = seat_.next_seed};
  seat_.next_seed += kSeedStep;
  const bool full = count > kMostObjects - 2 * kMostBatch || model().bytes() > options_.most_bytes;
  uint32_t dice = Below(400);
  if (full) dice = 390;
  const auto take = [&dice](uint32_t share) {
    const bool mine = dice < share;
    dice -= mine ? 0 : share;
    return mine;
  };
  if (take(150)) return Change(o);
  o.name = Below(kNames);
  if (take(40)) return Change(o);
  const bool named = model().names()[o.name].id != 0;
  if (take(15)) {
    o.what = Kind::kDropName;
    return named ? Change(o) : Status();
  }
  if (take(25)) {
    o.what = Kind::kPutName;
    o.slot = count == 0 ? 0 : AnySlot();
    return count > 0 ? Change(o) : Status();
  }
  o.name = kNoName;
  if (take(25)) {
    o.what = Kind::kSetLabel;
    o.slot = count == 0 ? 0 : AnySlot();
    o.label = 1 + Below(1'000'000);
    return count > 0 ? Change(o) : Status();
  }
  if (take(50)) {
    o.count = 16 + Below(kMostBatch - 15);
    o.size = std::min(o.size, 1000U);
    return Change(o);
  }
  if (take(5)) {
    o.what = Kind::kPutWhole;
    return Change(o);
  }
  if (take(6)) {
    o.what = Kind::kReserve;
    o.size = AnyLargeSize();
    return Change(o);
  }
  if (take(3)) {
    o.what = Kind::kPutInPlace;
    o.size = AnyLargeSize();
    return Change(o);
  }
  if (take(3)) {
    o.what = Kind::kBlob;
    return Change(o);
  }
  if (take(2)) {
    o.what = Below(10) == 0 ? Kind::kVolume : Kind::kStream;
    o.count = o.what == Kind::kStream ? 1 + Below(20) : 1;
    o.size = std::min(o.size, 300'000U);
    return Change(o);
  }
  o.what = Kind::kDelete;
  if (count == 0) return {};
  o.slot = AnySlot();
  if (full || Below(4) == 0) o.count = std::min(1 + Below(kMostBatch), count - o.slot);
  return Change(o);
}

Status Worker::Change(const Operation& operation) {
  seat_.Begin(operation);
  Status s = Do(operation, seat_.outcome);
  if (s.Is(StatusCode::kOutOfMemory)) {
    ++seat_.tally.full;
    seat_.GiveUp();
    return {};
  }
  if (!s.ok()) return s.WithContext(KindName(operation.what));
  seat_.tally.changes[static_cast<size_t>(operation.what)] += operation.count;
  seat_.Finish();
  return {};
}

Status Worker::Do(const Operation& o, Outcome& outcome) {
  switch (o.what) {
    case Kind::kPut: return o.count == 1 ? Put(o, outcome) : PutMany(o, outcome);
    case Kind::kPutInPlace: return PutInPlace(o, outcome);
    case Kind::kPutWhole: return PutWhole(o, outcome);
    case Kind::kSetLabel:
      return client_.SetLabels(ObjectId(model().objects()[o.slot].id),
                               {{"soak", std::to_string(o.label)}});
    case Kind::kPutName: {
      VY_ASSIGN_OR_RETURN(const uint64_t version,
                          client_.PutName(NameOf(o.name), ObjectId(model().objects()[o.slot].id)));
      if (version == model().names()[o.name].version + 1) return {};
      return Status::Corrupted(fmt::format("name {} got version {} after {}", NameOf(o.name),
                                           version, model().names()[o.name].version));
    }
    case Kind::kDropName: return client_.DropName(NameOf(o.name));
    case Kind::kDelete: return Delete(o);
    case Kind::kStream: return Stream(o);
    case Kind::kReserve: {
      VY_ASSIGN_OR_RETURN(MutableBlob blob, client_.CreateBlob(o.size));
      FillContent(blob.bytes().first(100), o.seed);
      return {};
    }
    case Kind::kBlob: return Blob(o);
    case Kind::kVolume: return Volume(o);
  }
  return Status::Internal("no such operation");
}

Status Worker::Put(const Operation& o, Outcome& outcome) {
  ObjectBuilder builder(TypeOf(o.seed));
  builder.AddBuffer(Content(o.seed, o.size));
  PutOptions options;
  if (o.name != kNoName) options.name = NameOf(o.name);
  VY_ASSIGN_OR_RETURN(const ObjectId id, client_.Put(builder, options));
  outcome.ids[0] = id.value();
  return {};
}

Status Worker::PutMany(const Operation& o, Outcome& outcome) {
  // Every buffer lies beside the one before.
  const size_t step = (o.size + 7) / 8 * 8;
  if (buffer_.size() < step * o.count) buffer_.resize(step * o.count);
  std::vector<ObjectBuilder> builders;
  for (uint32_t i = 0; i < o.count; ++i) {
    const auto bytes = std::span(buffer_).subspan(step * i, o.size);
    FillContent(bytes, o.seed + i);
    builders.emplace_back(TypeOf(o.seed + i)).AddBuffer(bytes);
  }
  const auto ids = client_.PutMany(builders);
  for (uint32_t i = 0; i < o.count; ++i) {
    if (ids[i].ok()) {
      outcome.ids[i] = ids[i]->value();
    } else if (ids[i].status().Is(StatusCode::kOutOfMemory)) {
      ++seat_.tally.full;
    } else {
      return ids[i].status();
    }
  }
  return {};
}

Status Worker::PutInPlace(const Operation& o, Outcome& outcome) {
  VY_ASSIGN_OR_RETURN(const Allocation memory, client_.Allocate(o.size));
  FillContent(memory.bytes().first(o.size), o.seed);
  ObjectBuilder builder(TypeOf(o.seed));
  builder.AddBuffer(memory.bytes().first(o.size));
  VY_ASSIGN_OR_RETURN(const ObjectId id, client_.Put(builder));
  outcome.ids[0] = id.value();
  return {};
}

Status Worker::PutWhole(const Operation& o, Outcome& outcome) {
  std::vector<ObjectId> made;
  for (uint32_t i = 0; i < 3; ++i) {
    const uint64_t seed = o.seed + (i + 1) % 3;  // the parts first
    ObjectBuilder builder(TypeOf(seed));
    builder.AddBuffer(Content(seed, o.size));
    if (i == 2) builder.AddMember("a", made[0]).AddMember("b", made[1]);
    const auto id = client_.Put(builder);
    if (!id.ok()) {
      if (!made.empty()) VY_RETURN_IF_ERROR(client_.Delete(made).status());
      return id.status();
    }
    made.push_back(*id);
  }
  outcome.ids[0] = made[2].value();
  outcome.parts = {made[0].value(), made[1].value()};
  return {};
}

Status Worker::Delete(const Operation& o) {
  std::vector<ObjectId> ids;
  uint64_t wanted = 0;
  for (const Held& held : model().objects().subspan(o.slot, o.count)) {
    ids.emplace_back(held.id);
    wanted += held.parts[0] == 0 ? 1 : 3;
  }
  VY_ASSIGN_OR_RETURN(const uint64_t gone, client_.Delete(ids));
  for (size_t i = 0; i < std::min(ids.size(), seat_.gone.size()); ++i) {
    seat_.gone[i] = ids[i].value();
  }
  if (gone == wanted) return {};
  return Status::Corrupted(fmt::format("{} objects went instead of {}", gone, wanted));
}

Status Worker::Stream(const Operation& o) {
  VY_ASSIGN_OR_RETURN(const ObjectId stream, client_.Put(ObjectBuilder(TypeOf(o.seed))));
  const Status passed = PassChunks(o, stream);
  VY_RETURN_IF_ERROR(client_.Delete({stream}).status());  // also where there was no memory
  return passed;
}

Status Worker::PassChunks(const Operation& o, ObjectId stream) {
  VY_RETURN_IF_ERROR(client_.CreateStream(stream, {.timeout = {}, .capacity = 2}));
  VY_ASSIGN_OR_RETURN(StreamWriter writer, client_.OpenStreamWriter(stream));
  VY_ASSIGN_OR_RETURN(StreamReader reader, client_.OpenStreamReader(stream));
  for (uint32_t i = 1; i <= o.count; ++i) {
    ObjectBuilder chunk(TypeOf(o.seed + i));
    chunk.AddBuffer(Content(o.seed + i, o.size));
    VY_ASSIGN_OR_RETURN(const ObjectId put, writer.Put(chunk));
    VY_ASSIGN_OR_RETURN(const auto next, reader.Next());
    if (next != put) return Status::Corrupted("a stream gave another chunk");
    VY_ASSIGN_OR_RETURN(const Object got, client_.Get(*next));
    const Held held{.id = put.value(), .seed = o.seed + i, .parts = {}, .size = o.size};
    VY_RETURN_IF_ERROR(Compare(got, held, o.seed + i));
  }
  VY_RETURN_IF_ERROR(writer.Finish());
  VY_ASSIGN_OR_RETURN(const auto end, reader.Next());
  return end ? Status::Corrupted("a stream goes on behind its end") : reader.Close();
}

Status Worker::Blob(const Operation& o) {
  VY_ASSIGN_OR_RETURN(MutableBlob blob, client_.CreateBlob(o.size + 1));
  FillContent(blob.bytes(), o.seed);
  VY_ASSIGN_OR_RETURN(const vineyard::Blob sealed, client_.Seal(std::move(blob)));
  VY_ASSIGN_OR_RETURN(const vineyard::Blob got, client_.GetBlob(sealed.id()));
  if (!IsContent(got.bytes(), o.seed)) return Status::Corrupted("a blob holds other bytes");
  return client_.Delete({sealed.id()}).status();
}

Status Worker::Volume(const Operation& o) {
  const std::string name = fmt::format("v{}", options_.who);
  VY_ASSIGN_OR_RETURN(const VolumeInfo made,
                      client_.CreateVolume(name, client_.socket() + "." + name, 0));
  {
    VY_ASSIGN_OR_RETURN(Client inside, Client::Connect(made.socket));
    ObjectBuilder builder(TypeOf(o.seed));
    builder.AddBuffer(Content(o.seed, o.size));
    const auto id = inside.Put(builder, {.timeout = {}, .name = "n"});
    if (id.ok()) {
      VY_ASSIGN_OR_RETURN(const Object got, inside.Get("n"));
      const Held held{.id = id->value(), .seed = o.seed, .parts = {}, .size = o.size};
      VY_RETURN_IF_ERROR(Compare(got, held, o.seed));
    } else if (!id.status().Is(StatusCode::kOutOfMemory)) {
      return id.status();
    }
  }
  return client_.RemoveVolume(name);
}

Status Worker::DeleteAll() {
  while (const auto count = static_cast<uint32_t>(model().objects().size())) {
    VY_RETURN_IF_ERROR(Change({.what = Kind::kDelete,
                               .slot = 0,
                               .count = std::min(count, kMostBatch),
                               .name = kNoName,
                               .size = 0,
                               .label = 0,
                               .seed = 0}));
  }
  return {};
}

}  // namespace vineyard::soak
