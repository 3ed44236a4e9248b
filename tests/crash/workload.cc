// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "crash/workload.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {

std::ostream& operator<<(std::ostream& out, const Figures& f) {
  return out << fmt::format("usage {} objects {} blobs {} names {} lingering {} waiting {}",
                            f.usage, f.objects, f.blobs, f.names, f.lingering, f.waiting);
}

Figures FiguresOf(Client& client) {
  auto s = client.GetStatus();
  EXPECT_OK(s);
  if (!s.ok()) return {};
  return {s->memory_usage, s->objects, s->blobs, s->names, s->memory_lingering, s->waiting};
}

void Workload::First() {
  Put(1, kSmall, "");
  for (uint64_t i = 0; i < 4; ++i) Put(10 + i, kSmall + i, "small");
  for (uint64_t i = 0; i < 3; ++i) Put(20 + i, kLarge + i, "large");
  Put(30, kTwoChunks, "two chunks");
  PutInPlace(31, kTwoChunks);
  PutName("alias", names_.at("large").first);
  PutName("alias", names_.at("small").first);
  const ObjectId blob = MakeBlob(40, kTwoChunks);
  MakeBlob(41, kSmall);
  {
    auto given_back = client_.CreateBlob(kLarge);
    ASSERT_OK(given_back);
  }
  RefersTo(blob);
  MakeVolume("kept", 70);
  for (uint64_t i = 0; i < 2; ++i) {
    MakeVolume("passing", 71 + i);
    RemoveVolume("passing");
  }
  OpenStream();
  for (const size_t size : {kSmall, kLarge, kSmall}) PutChunk(size);
  ReadChunk();
}

void Workload::Second() {
  const ObjectId part = Put(50, kLarge, "");
  const ObjectId small_part = Put(51, kSmall, "");
  ObjectBuilder whole("whole");
  whole.AddMember("large", part).AddMember("small", small_part);
  auto id = client_.Put(whole);
  ASSERT_OK(id);
  ASSERT_OK(client_.SetLabels(*id, {{"colour", "red"}, {"state", "first"}}));
  ASSERT_OK(client_.SetLabels(*id, {{"state", "second"}}));
  auto labelled = client_.Get(*id);
  ASSERT_OK(labelled);
  ASSERT_EQ(labelled->info().labels.size(), 2U);
  EXPECT_EQ(labelled->info().labels[1].value, "second");
  EXPECT_CODE(kFailedPrecondition, client_.Delete({part}));
  auto gone = client_.Delete({*id});
  ASSERT_OK(gone);
  EXPECT_EQ(*gone, 3U);
  objects_.erase(part);
  objects_.erase(small_part);
  Put(60, kLarge, "passing");
  Drop("passing");
  Put(61, kLarge, "large");
  Put(62, kSmall, "small");
  PutName("alias", names_.at("large").first);
  const ObjectId plain = Put(63, kTwoChunks, "");
  EXPECT_CODE(kConflict, client_.DropName("small", {.timeout = {}, .if_version = 1}));
  auto one = client_.Delete({plain});
  ASSERT_OK(one);
  EXPECT_EQ(*one, 1U);
  objects_.erase(plain);
  RemoveVolume("kept");
  MakeVolume("kept", 80);
  MakeVolume("passing", 81);
  RemoveVolume("passing");
  ReadChunk();
  ReadChunk();
  PutChunk(kLarge);
}

void Workload::Check(Client& client) const {
  for (const auto& [id, value] : objects_) {
    EXPECT_TRUE(HoldsPattern(client.Get(id), value.seed, value.size)) << id.ToString();
  }
  for (const auto& [name, what] : names_) {
    auto info = client.GetName(name);
    ASSERT_OK(info) << name;
    EXPECT_EQ(info->id, what.first) << name;
    EXPECT_EQ(info->version, what.second) << name;
  }
  for (const auto& [id, value] : blobs_) {
    auto blob = client.GetBlob(id);
    ASSERT_OK(blob) << id.ToString();
    EXPECT_EQ(blob->size(), value.size);
    EXPECT_TRUE(IsPattern(blob->bytes(), value.seed)) << id.ToString();
  }
  for (const auto& [name, what] : volumes_) {
    auto inside = Client::Connect(what.first);
    ASSERT_OK(inside) << name;
    EXPECT_TRUE(HoldsPattern(inside->Get(name), what.second.seed, what.second.size)) << name;
  }
  auto volumes = client.ListVolumes();
  ASSERT_OK(volumes);
  EXPECT_EQ(volumes->size(), volumes_.size() + 1);
  auto names = client.ListNames();
  ASSERT_OK(names);
  EXPECT_EQ(names->size(), names_.size());
  auto objects = client.List({.limit = SIZE_MAX, .include_parts = true});
  ASSERT_OK(objects);
  const auto blobs = std::ranges::count_if(*objects, [](const auto& o) { return o.id.is_blob(); });
  auto stream = client.GetStream(stream_);
  ASSERT_OK(stream);
  EXPECT_EQ(stream->first + stream->queued, chunks_put_);
  EXPECT_EQ(stream->first, chunks_read_ - 1);
  EXPECT_EQ(objects->size() - static_cast<size_t>(blobs),
            objects_.size() + referring_ + 1 + stream->queued);
}

void Workload::OpenStream() {
  auto id = client_.Put(ObjectBuilder("stream"));
  ASSERT_OK(id);
  stream_ = *id;
  ASSERT_OK(client_.CreateStream(stream_));
  auto writer = client_.OpenStreamWriter(stream_);
  ASSERT_OK(writer);
  writer_ = std::move(*writer);
  auto reader = client_.OpenStreamReader(stream_);
  ASSERT_OK(reader);
  reader_ = std::move(*reader);
}

void Workload::PutChunk(size_t size) {
  const std::vector<std::byte> bytes = Pattern(90 + chunks_put_, size);
  ObjectBuilder chunk("chunk");
  chunk.AddBuffer(bytes);
  ASSERT_OK(writer_->Put(chunk));
  ++chunks_put_;
}

void Workload::ReadChunk() {
  auto id = reader_->Next();
  ASSERT_OK(id);
  ASSERT_TRUE(id->has_value());
  auto chunk = client_.Get(**id);
  ASSERT_OK(chunk);
  EXPECT_TRUE(HoldsPattern(chunk, 90 + chunks_read_, chunk->buffers()[0].size()));
  ++chunks_read_;
}

void Workload::DeleteAll() {
  while (!volumes_.empty()) RemoveVolume(volumes_.begin()->first);
  auto objects = client_.List({.limit = SIZE_MAX, .include_parts = true});
  ASSERT_OK(objects);
  std::vector<ObjectId> ids;
  for (const ObjectInfo& info : *objects) ids.push_back(info.id);
  ASSERT_OK(client_.Delete(ids, {.force = true}));
  for (const auto& [id, value] : blobs_) {
    const Status s = client_.Delete({id}).status();
    EXPECT_TRUE(s.ok() || s.Is(StatusCode::kNotFound)) << s.ToString();
  }
}

ObjectId Workload::Put(uint64_t seed, size_t size, const std::string& name) {
  auto id = PutPattern(client_, seed, size, name);
  EXPECT_OK(id);
  if (!id.ok()) return {};
  if (!name.empty()) {
    auto& entry = names_[name];
    if (entry.second > 0) Release(entry.first, name);
    entry = {*id, entry.second + 1};
  }
  objects_[*id] = {seed, size};
  return *id;
}

void Workload::Release(ObjectId id, const std::string& name) {
  const bool kept = std::ranges::any_of(
      names_, [&](const auto& entry) { return entry.first != name && entry.second.first == id; });
  if (!kept) objects_.erase(id);
}

void Workload::PutName(const std::string& name, ObjectId id) {
  auto version = client_.PutName(name, id);
  ASSERT_OK(version);
  auto& entry = names_[name];
  EXPECT_EQ(*version, entry.second + 1);
  if (entry.second > 0 && entry.first != id) Release(entry.first, name);
  entry = {id, *version};
}

void Workload::Drop(const std::string& name) {
  ASSERT_OK(client_.DropName(name));
  Release(names_.at(name).first, name);
  names_.erase(name);
}

// Twice: the second refers to what the first has sealed.
void Workload::PutInPlace(uint64_t seed, size_t size) {
  auto array = client_.Allocate(size);
  ASSERT_OK(array);
  std::ranges::copy(Pattern(seed, size), array->data());
  for (int i = 0; i < 2; ++i) {
    auto id = client_.Put(ObjectBuilder("test").AddBuffer(array->bytes()));
    ASSERT_OK(id);
    objects_[*id] = {seed, size};
  }
  EXPECT_TRUE(IsPattern(array->bytes(), seed));
  const std::span<const std::byte> bytes = array->bytes();
  EXPECT_EQ(client_.PlacementsOf({&bytes, 1})[0], Placement::kReferred);
}

ObjectId Workload::MakeBlob(uint64_t seed, size_t size) {
  auto blob = client_.CreateBlob(size);
  EXPECT_OK(blob);
  if (!blob.ok()) return {};
  std::ranges::copy(Pattern(seed, size), blob->data());
  auto sealed = client_.Seal(std::move(*blob));
  EXPECT_OK(sealed);
  if (!sealed.ok()) return {};
  blobs_[sealed->id()] = {seed, size};
  return sealed->id();
}

void Workload::RefersTo(ObjectId id) {
  auto blob = client_.GetBlob(id);
  ASSERT_OK(blob);
  ObjectBuilder view("view");
  view.AddBuffer(blob->Slice(64, 100)).AddBuffer(blob->Slice(0, kLarge));
  ASSERT_OK(client_.Put(view));
  ++referring_;
}

void Workload::MakeVolume(const std::string& name, uint64_t seed) {
  auto volume = client_.CreateVolume(name, client_.socket() + ".volumes/" + name, 0);
  ASSERT_OK(volume);
  auto inside = Client::Connect(volume->socket);
  ASSERT_OK(inside);
  EXPECT_OK(PutPattern(*inside, seed, kLarge, name));
  volumes_[name] = {volume->socket, {seed, kLarge}};
}

void Workload::RemoveVolume(const std::string& name) {
  EXPECT_OK(client_.RemoveVolume(name));
  volumes_.erase(name);
}

}  // namespace vineyard::testing
