// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The public C++ interface, against a real instance.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::Eventually;
using ::testing::HasSubstr;
using testing::HoldsPattern;
using testing::IsPattern;
using testing::Pattern;
using testing::PutPattern;
using ::testing::SizeIs;
using testing::TempFolder;
using testing::TestDaemon;

constexpr size_t kInlineMax = size_t{256} << 10;
constexpr size_t kHuge = size_t{2} << 20;

class WithDaemon : public ::testing::Test {
 protected:
  WithDaemon() : client_(daemon_.Connect()) {}
  TestDaemon daemon_;
  Client client_;
};
using ClientTest = WithDaemon;

// ---- connecting

TEST(Connecting, SaysWhatIsWrongWithTheSocket) {
  const TempFolder folder;
  EXPECT_CODE(kInvalid, Client::Connect(""));
  const std::string absent = folder.path() + "/absent.sock";
  auto none = Client::Connect(absent);
  EXPECT_CODE(kUnavailable, none);
  EXPECT_THAT(none.status().message(), HasSubstr(absent));
  std::ofstream(folder.path() + "/file") << "no socket";
  EXPECT_CODE(kUnavailable, Client::Connect(folder.path() + "/file"));
  EXPECT_CODE(kUnavailable, Client::Connect(folder.path()));
  EXPECT_CODE(kInvalid, Client::Connect(folder.path() + "/" + std::string(300, 'x')));
}

TEST(Connecting, WaitsForAnInstanceThatIsStillToCome) {
  const TempFolder folder;
  EXPECT_CODE(kUnavailable, Client::Connect({.socket = folder.path() + "/absent.sock",
                                             .wait_for_instance = milliseconds(50),
                                             .interrupted = {}}));
  int asked = 0;
  EXPECT_CODE(kCancelled, Client::Connect({.socket = folder.path() + "/absent.sock",
                                           .wait_for_instance = milliseconds(50'000),
                                           .interrupted = [&] { return ++asked > 2; }}));
}

TEST(Connecting, ASocketThatNobodyAnswersAtEndsAtTheDeadline) {
  TestDaemon daemon;
  daemon.PauseEngine();
  EXPECT_CODE(kDeadlineExceeded,
              Client::Connect(
                  {.socket = daemon.socket(), .timeout = milliseconds(100), .interrupted = {}}));
  daemon.ResumeEngine();
  EXPECT_OK(Client::Connect(daemon.socket()));
}

TEST(Connecting, AStoppedInstanceIsUnavailableAndASecondOneIsRefused) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(client.GetStatus());
  EXPECT_EQ(daemon.Stop(), 0);
  EXPECT_CODE(kUnavailable, client.GetStatus());
  EXPECT_CODE(kUnavailable, Client::Connect(daemon.socket()));
  daemon.Start();
  EXPECT_OK(client.GetStatus());
}

TEST_F(ClientTest, AClosedClientSaysSo) {
  EXPECT_TRUE(client_.connected());
  auto id = PutPattern(client_, 1, kHuge);
  ASSERT_OK(id);
  auto object = client_.Get(*id);
  ASSERT_OK(object);
  client_.Close();
  EXPECT_FALSE(client_.connected());
  EXPECT_CODE(kFailedPrecondition, client_.GetStatus());
  EXPECT_CODE(kFailedPrecondition, client_.Get(*id));
  EXPECT_TRUE(IsPattern(object->buffers()[0].bytes(), 1)) << "what was got outlives the client";
}

// ---- objects

TEST_F(ClientTest, GetGivesWhatWasPutWhateverItsSize) {
  Client other = daemon_.Connect();
  EXPECT_EQ(client_.inline_max(), kInlineMax);
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{4096}, kInlineMax - 1,
        kInlineMax, kInlineMax + 1, kHuge - 1, kHuge, kHuge + 1, 9 * kHuge + 4097}) {
    auto id = PutPattern(client_, size, size);
    ASSERT_OK(id) << size;
    for (Client* reader : {&client_, &other}) {
      auto object = reader->Get(*id);
      EXPECT_TRUE(HoldsPattern(object, size, size)) << size;
      EXPECT_EQ(object->info().nbytes, size);
      if (size > 0) {
        EXPECT_EQ(object->buffers()[0].zero_copy(), size > kInlineMax) << size;
      }
      auto blob = reader->GetBlob(id->own_blob());
      ASSERT_OK(blob) << size;
      EXPECT_TRUE(IsPattern(blob->bytes(), size)) << size;
      const auto address = reinterpret_cast<uintptr_t>(object->buffers()[0].data());
      if (size > 0) {
        EXPECT_EQ(address % 64, 0U) << size;
      }
    }
  }
}

TEST_F(ClientTest, AnObjectKeepsAllThatItIsMadeOf) {
  auto part = PutPattern(client_, 1, 10);
  ASSERT_OK(part);
  const auto a = Pattern(1, 100);
  const auto b = Pattern(2, 77);
  ObjectBuilder builder("vineyard::Tensor<double>");
  builder.SetMetadata(R"({"shape_":[3,4]})")
      .AddBuffer(a)
      .AddBuffer(std::span<const std::byte>())
      .AddBuffer(b)
      .AddMember("part", *part)
      .AddMember("same", *part)
      .AddLabel("job", "test");
  auto id = client_.Put(builder);
  ASSERT_OK(id);
  Client other = daemon_.Connect();
  auto object = other.Get(*id);
  ASSERT_OK(object);
  const ObjectInfo& info = object->info();
  EXPECT_EQ(info.id, *id);
  EXPECT_EQ(info.type_name, "vineyard::Tensor<double>");
  EXPECT_EQ(info.metadata, R"({"shape_":[3,4]})");
  EXPECT_EQ(info.nbytes, 177U);
  EXPECT_EQ(info.creator.pid, static_cast<uint32_t>(::getpid()));
  EXPECT_GT(info.created_unix_ns, 0);
  ASSERT_THAT(info.members, SizeIs(2));
  EXPECT_EQ(object->member("part"), *part);
  EXPECT_EQ(object->member("same"), *part);
  EXPECT_EQ(object->member("absent"), std::nullopt);
  ASSERT_THAT(info.labels, SizeIs(1));
  EXPECT_EQ(info.labels[0].key, "job");
  ASSERT_THAT(object->buffers(), SizeIs(3));
  EXPECT_TRUE(IsPattern(object->buffers()[0].bytes(), 1));
  EXPECT_EQ(object->buffers()[1].size(), 0U);
  EXPECT_TRUE(IsPattern(object->buffers()[2].bytes(), 2));
  auto description = other.Get(*id, {.map_buffers = false});
  ASSERT_OK(description);
  EXPECT_THAT(description->buffers(), SizeIs(0));
  EXPECT_THAT(description->info().buffers, SizeIs(3));
}

TEST_F(ClientTest, TenThousandBuffersComeBackInOrder) {
  constexpr size_t kCount = 10'000;
  for (const size_t size : {size_t{8}, size_t{200}}) {  // 640 KB and 2.5 MB, with their padding
    const auto bytes = Pattern(3, kCount + size);
    ObjectBuilder builder("many");
    for (size_t i = 0; i < kCount; ++i) builder.AddBuffer(std::span(bytes).subspan(i, size));
    auto id = client_.Put(builder);
    ASSERT_OK(id);
    auto object = daemon_.Connect().Get(*id);
    ASSERT_OK(object);
    ASSERT_THAT(object->buffers(), SizeIs(kCount));
    for (size_t i = 0; i < kCount; ++i) {
      const auto got = object->buffers()[i].bytes();
      ASSERT_TRUE(std::ranges::equal(got, std::span(bytes).subspan(i, size))) << i;
    }
  }
}

TEST_F(ClientTest, BigDescriptorsComeBackOrAreRefused) {
  for (const size_t size : {size_t{100} << 10, size_t{1} << 20, size_t{8} << 20}) {
    ObjectBuilder builder("big");
    builder.SetMetadata("{\"text\":\"" + std::string(size, 'x') + "\"}");
    auto id = client_.Put(builder);
    ASSERT_OK(id) << size;
    auto object = daemon_.Connect().Get(*id);
    ASSERT_OK(object) << size;
    EXPECT_EQ(object->metadata(), builder.metadata());
  }
  ObjectBuilder members("members");
  auto part = PutPattern(client_, 1, 10);
  ASSERT_OK(part);
  for (int i = 0; i < 5000; ++i) members.AddMember(fmt::format("column {}", i), *part);
  auto id = client_.Put(members);
  ASSERT_OK(id);
  EXPECT_THAT(client_.Get(*id)->info().members, SizeIs(5000));
  ObjectBuilder too_big("too big");
  too_big.SetMetadata("{\"text\":\"" + std::string(size_t{70} << 20, 'x') + "\"}");
  EXPECT_CODE(kLimitExceeded, client_.Put(too_big));
  EXPECT_OK(client_.GetStatus());
}

TEST_F(ClientTest, BuffersMayLieInBlobsThatAreInTheStore) {
  const uint64_t at_start = client_.GetStatus().value().memory_usage;
  auto blob = client_.CreateBlob(kHuge);
  ASSERT_OK(blob);
  std::ranges::copy(Pattern(4, kHuge), blob->data());
  auto sealed = client_.Seal(std::move(*blob));
  ASSERT_OK(sealed);
  const auto fresh = Pattern(5, 3000);
  ObjectBuilder builder("view");
  builder.AddBuffer(sealed->Slice(100, 1000)).AddBuffer(fresh).AddBuffer(*sealed);
  auto first = client_.Put(builder);
  ASSERT_OK(first);
  // What was got from an object may be put again, and costs no second copy.
  Client other = daemon_.Connect();
  auto object = other.Get(*first);
  ASSERT_OK(object);
  const uint64_t before = client_.GetStatus().value().memory_usage;
  ObjectBuilder again("view");
  again.AddBuffer(object->buffers()[2]).AddBuffer(object->buffers()[1]);
  auto second = other.Put(again);
  ASSERT_OK(second);
  EXPECT_LT(client_.GetStatus().value().memory_usage, before + kInlineMax);
  auto view = client_.Get(*second);
  ASSERT_OK(view);
  EXPECT_TRUE(IsPattern(view->buffers()[0].bytes(), 4));
  EXPECT_TRUE(IsPattern(view->buffers()[1].bytes(), 5));
  // The blob stays as long as one of them needs it.
  EXPECT_CODE(kFailedPrecondition, client_.Delete({sealed->id()}));
  ASSERT_OK(client_.Delete({*first}));
  EXPECT_TRUE(IsPattern(client_.Get(*second)->buffers()[0].bytes(), 4));
  ASSERT_OK(client_.Delete({*second}));
  EXPECT_CODE(kNotFound, client_.GetBlob(sealed->id()));
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_usage == at_start; }));
}

TEST_F(ClientTest, DeletingTakesPartsThatNothingElseNeeds) {
  const auto put = [&](std::vector<ObjectId> parts) {
    ObjectBuilder builder("node");
    for (size_t i = 0; i < parts.size(); ++i) builder.AddMember(std::to_string(i), parts[i]);
    auto id = client_.Put(builder);
    EXPECT_OK(id);
    return id.ok() ? *id : ObjectId();
  };
  const ObjectId leaf = put({});
  const ObjectId shared = put({});
  const ObjectId middle = put({leaf, shared});
  const ObjectId top = put({middle});
  const ObjectId other = put({shared});
  EXPECT_CODE(kFailedPrecondition, client_.Delete({leaf}));
  EXPECT_CODE(kNotFound, client_.Delete({other, ObjectId(77)}));
  EXPECT_TRUE(client_.Exists(other).value());
  EXPECT_EQ(client_.Delete({top}).value(), 3U);
  EXPECT_FALSE(client_.Exists(leaf).value());
  EXPECT_TRUE(client_.Exists(shared).value());
  EXPECT_EQ(client_.Delete({other}, {.deep = false}).value(), 1U);
  EXPECT_TRUE(client_.Exists(shared).value());
  const ObjectId holder = put({shared});
  EXPECT_EQ(client_.Delete({shared}, {.force = true}).value(), 2U);
  EXPECT_FALSE(client_.Exists(holder).value());
  EXPECT_EQ(client_.GetStatus().value().objects, 0U);
}

TEST_F(ClientTest, BlobsAreWrittenInPlaceAndSealed) {
  for (const size_t size : {size_t{0}, size_t{100}, kInlineMax, kInlineMax + 1, kHuge + 5}) {
    auto blob = client_.CreateBlob(size);
    ASSERT_OK(blob) << size;
    EXPECT_EQ(blob->size(), size);
    EXPECT_TRUE(std::ranges::all_of(blob->bytes(), [](std::byte b) { return b == std::byte{0}; }));
    std::ranges::copy(Pattern(size, size), blob->data());
    const ObjectId id = blob->id();
    EXPECT_CODE(kNotFound, client_.GetBlob(id));
    const auto writable = blob->keep_alive();
    auto sealed = client_.Seal(std::move(*blob));
    ASSERT_OK(sealed) << size;
    EXPECT_EQ(sealed->id(), id);
    auto got = daemon_.Connect().GetBlob(id);
    ASSERT_OK(got) << size;
    EXPECT_EQ(got->size(), size);
    EXPECT_TRUE(IsPattern(got->bytes(), size)) << size;
    EXPECT_CODE(kFailedPrecondition, client_.Seal(std::move(*blob)));
  }
  MutableBlob none;
  EXPECT_CODE(kFailedPrecondition, client_.Seal(std::move(none)));
}

TEST_F(ClientTest, KindsAreNotMixedUp) {
  auto id = PutPattern(client_, 1, kHuge, "object");
  ASSERT_OK(id);
  EXPECT_CODE(kTypeMismatch, client_.Get(id->own_blob()));
  EXPECT_CODE(kTypeMismatch, client_.GetBlob(*id));
  EXPECT_CODE(kNotFound, client_.Get(ObjectId(5)));
  EXPECT_CODE(kNotFound, client_.GetBlob(ObjectId(5).own_blob()));
  EXPECT_CODE(kNotFound, client_.SetLabels(ObjectId(5), {{"a", "b"}}));
  EXPECT_FALSE(client_.Exists(ObjectId(5)).value());
}

TEST_F(ClientTest, LabelsAreAddedAndReplaced) {
  auto id = PutPattern(client_, 1, kHuge);
  ASSERT_OK(id);
  Client other = daemon_.Connect();
  EXPECT_THAT(other.Get(*id)->info().labels, SizeIs(0));
  ASSERT_OK(client_.SetLabels(*id, {{"a", "1"}, {"b", "2"}}));
  ASSERT_OK(client_.SetLabels(*id, {{"b", "3"}, {"c", ""}}));
  auto object = other.Get(*id);
  ASSERT_OK(object);
  std::vector<std::string> labels;
  for (const Label& l : object->info().labels) labels.push_back(l.key + "=" + l.value);
  EXPECT_THAT(labels, ElementsAre("a=1", "b=3", "c="));
  EXPECT_TRUE(HoldsPattern(object, 1, kHuge));
}

// ---- lists

TEST_F(ClientTest, ObjectsAreListedByTypeWithoutTheirParts) {
  auto part = PutPattern(client_, 1, 10);
  ASSERT_OK(part);
  ASSERT_OK(client_.Put(ObjectBuilder("table").AddMember("x", *part)));
  for (int i = 0; i < 2500; ++i) ASSERT_OK(client_.Put(ObjectBuilder("row")));
  const auto count = [&](const ListOptions& options) {
    auto objects = client_.List(options);
    EXPECT_OK(objects);
    return objects->size();
  };
  EXPECT_EQ(count({}), 5U);
  EXPECT_EQ(count({.limit = SIZE_MAX}), 2501U);
  EXPECT_EQ(count({.pattern = "t*", .limit = SIZE_MAX}), 1U);
  EXPECT_EQ(count({.pattern = "^t", .regex = true, .limit = SIZE_MAX, .include_parts = true}), 2U);
  EXPECT_EQ(count({.limit = 0}), 0U);
}

// ---- one client, many threads

TEST_F(ClientTest, ManyThreadsShareOneClientWhileOneWaits) {
  std::thread waiter([&] { EXPECT_OK(client_.Get("the end", {.wait = true})); });
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      constexpr std::array kSizes{size_t{10}, size_t{5000}, kInlineMax + 1};
      for (uint64_t i = 0; i < 60; ++i) {
        const size_t size = kSizes[i % kSizes.size()];
        auto id = PutPattern(client_, t * 1000 + i, size);
        ASSERT_OK(id);
        ASSERT_TRUE(HoldsPattern(client_.Get(*id), t * 1000 + i, size));
        ASSERT_OK(client_.PutName(fmt::format("{}/{}", t, i % 5), *id));
        ASSERT_OK(client_.Delete({*id}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(client_.Put(ObjectBuilder("x"), {.timeout = {}, .name = "the end"}));
  waiter.join();
  EXPECT_EQ(client_.GetStatus().value().objects, 1U);
}

}  // namespace
}  // namespace vineyard
