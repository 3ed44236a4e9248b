// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names: what they own, their versions, who waits for them, how they are listed.
#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using std::chrono::milliseconds;
using testing::Child;
using ::testing::ElementsAre;
using testing::Eventually;
using testing::HoldsPattern;
using testing::PutPattern;
using ::testing::SizeIs;
using testing::TestDaemon;

constexpr size_t kInlineMax = size_t{256} << 10;
constexpr size_t kHuge = size_t{2} << 20;

class Names : public ::testing::Test {
 protected:
  Names() : client_(daemon_.Connect()) {}
  TestDaemon daemon_;
  Client client_;
};

TEST_F(Names, ANameOwnsWhatWasPutWithItAndCountsVersions) {
  auto first = PutPattern(client_, 1, kHuge, "n");
  ASSERT_OK(first);
  EXPECT_EQ(client_.GetName("n").value().version, 1U);
  auto second = PutPattern(client_, 2, kHuge, "n");
  ASSERT_OK(second);
  EXPECT_EQ(client_.GetName("n").value().version, 2U);
  EXPECT_EQ(client_.GetName("n").value().id, *second);
  EXPECT_FALSE(client_.Exists(*first).value());
  auto free = PutPattern(client_, 3, 10);
  ASSERT_OK(free);
  EXPECT_EQ(client_.PutName("alias", *second).value(), 1U);
  EXPECT_EQ(client_.PutName("n", *free).value(), 3U);
  EXPECT_TRUE(client_.Exists(*second).value()) << "the other name keeps it";
  ASSERT_OK(client_.DropName("alias"));
  EXPECT_FALSE(client_.Exists(*second).value());
  ASSERT_OK(client_.DropName("n"));
  EXPECT_TRUE(client_.Exists(*free).value()) << "it was never owned by a name";
  EXPECT_CODE(kNotFound, client_.DropName("n"));
  EXPECT_CODE(kNotFound, client_.GetName("n"));
  EXPECT_CODE(kNotFound, client_.Get("n"));
  EXPECT_CODE(kNotFound, client_.PutName("n", *second));
  EXPECT_CODE(kInvalid, client_.PutName("", *free));
  EXPECT_CODE(kInvalid, client_.PutName(std::string(5000, 'n'), *free));
  auto named = PutPattern(client_, 4, 10, "goes with it");
  ASSERT_OK(named);
  ASSERT_OK(client_.Delete({*named}));
  EXPECT_CODE(kNotFound, client_.GetName("goes with it"));
}

TEST_F(Names, ANameWithATimeToLiveGoesByItselfAndTakesItsObject) {
  constexpr milliseconds kShort{50};
  constexpr milliseconds kLong{3'600'000};
  ASSERT_OK_AND_ASSIGN(const ObjectId owned,
                       client_.Put(ObjectBuilder("x"), {.name = "short", .ttl = kShort}));
  ASSERT_OK_AND_ASSIGN(const ObjectId kept, PutPattern(client_, 1, kHuge));
  ASSERT_OK(client_.PutName("also short", kept, {.ttl = kShort}));
  ASSERT_OK(client_.PutName("long", kept, {.ttl = kLong}));
  ASSERT_OK(client_.PutName("for ever", kept));
  EXPECT_TRUE(Eventually([&] {
    return client_.GetName("short").status().Is(StatusCode::kNotFound) &&
           client_.GetName("also short").status().Is(StatusCode::kNotFound);
  }));
  EXPECT_FALSE(client_.Exists(owned).value());
  EXPECT_TRUE(client_.Exists(kept).value());
  const auto in_time = [&](const NameInfo& info) {
    return info.ttl && *info.ttl > milliseconds(0) && *info.ttl <= kLong;
  };
  EXPECT_TRUE(in_time(client_.GetName("long").value()));
  EXPECT_EQ(client_.GetName("for ever")->ttl, std::nullopt);
  daemon_.KillEngine();
  EXPECT_TRUE(in_time(client_.GetName("long").value()));
  const auto listed = client_.ListNames().value();
  ASSERT_THAT(listed, SizeIs(2));
  EXPECT_EQ(listed[0].ttl, std::nullopt);
  EXPECT_TRUE(in_time(listed[1]));
  EXPECT_CODE(kInvalid, client_.PutName("n", kept, {.ttl = milliseconds(0)}));
  EXPECT_CODE(kInvalid, client_.PutName("n", kept, {.ttl = milliseconds(-5)}));
  ASSERT_OK_AND_ASSIGN(const ObjectId unnamed, client_.Put(ObjectBuilder("x"), {.ttl = kShort}));
  EXPECT_TRUE(Eventually([&] { return !client_.Exists(unnamed).value(); }));
  ASSERT_OK(client_.PutName("very long", kept, {.ttl = milliseconds::max()}));
  EXPECT_TRUE(client_.GetName("very long")->ttl.has_value());
}

TEST_F(Names, ANameChangesOnlyFromTheVersionThatWasExpected) {
  const auto put = [&](uint64_t if_version) {
    return client_.Put(ObjectBuilder("x"), {.timeout = {}, .name = "n", .if_version = if_version});
  };
  EXPECT_CODE(kConflict, put(1));
  ASSERT_OK(put(0));
  EXPECT_CODE(kConflict, put(0));
  ASSERT_OK(put(1));
  const ObjectId id = client_.GetName("n").value().id;
  EXPECT_CODE(kConflict, client_.PutName("n", id, {.timeout = {}, .if_version = 1}));
  EXPECT_EQ(client_.PutName("n", id, {.timeout = {}, .if_version = 2}).value(), 3U);
  EXPECT_CODE(kConflict, client_.DropName("n", {.timeout = {}, .if_version = 2}));
  EXPECT_OK(client_.DropName("n", {.timeout = {}, .if_version = 3}));
  EXPECT_EQ(client_.GetStatus().value().objects, 0U) << "refused puts leave nothing";
}

TEST_F(Names, AWaitForANameEndsWhenItComesOrAtTheDeadline) {
  EXPECT_CODE(kDeadlineExceeded,
              client_.GetName("late", {.timeout = milliseconds(50), .wait = true}));
  EXPECT_CODE(kDeadlineExceeded, client_.Get("late", {.timeout = milliseconds(50), .wait = true}));
  EXPECT_OK(client_.GetStatus());
  std::thread waiter(
      [&] { EXPECT_TRUE(HoldsPattern(client_.Get("late", {.wait = true}), 1, kHuge)); });
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().waiting == 1; }));
  ASSERT_OK(PutPattern(client_, 1, kHuge, "late"));
  waiter.join();
  EXPECT_TRUE(HoldsPattern(client_.Get("late", {.wait = true}), 1, kHuge)) << "there already";
}

TEST_F(Names, AWaitIsCalledOffWhenAsked) {
  std::atomic<bool> interrupt{false};
  auto client = Client::Connect(
      {.socket = daemon_.socket(), .interrupted = [&] { return interrupt.load(); }});
  ASSERT_OK(client);
  std::thread waiter([&] { EXPECT_CODE(kCancelled, client->Get("never", {.wait = true})); });
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().waiting == 1; }));
  interrupt = true;
  waiter.join();
  interrupt = false;
  EXPECT_OK(client->GetStatus());
}

TEST_F(Names, NamesAreListedByPatternPrefixAndExpression) {
  auto id = PutPattern(client_, 1, 10);
  ASSERT_OK(id);
  for (const char* name : {"b/2", "a/1", "a/2", "a*", "ü/1"}) ASSERT_OK(client_.PutName(name, *id));
  const auto list = [&](const ListNamesOptions& options) {
    auto names = client_.ListNames(options);
    EXPECT_OK(names);
    std::vector<std::string> result;
    for (const NameInfo& n : *names) result.push_back(n.name);
    return result;
  };
  EXPECT_THAT(list({}), ElementsAre("a*", "a/1", "a/2", "b/2", "ü/1"));
  EXPECT_THAT(list({.pattern = "a/?"}), ElementsAre("a/1", "a/2"));
  EXPECT_THAT(list({.pattern = "a*", .prefix = true}), ElementsAre("a*"));
  EXPECT_THAT(list({.pattern = "/[2]$", .regex = true}), ElementsAre("a/2", "b/2"));
  EXPECT_THAT(list({.pattern = "*", .limit = 2}), ElementsAre("a*", "a/1"));
  EXPECT_CODE(kInvalid, client_.ListNames({.pattern = "(", .regex = true}));
  for (int i = 0; i < 12'000; ++i) ASSERT_OK(client_.PutName(fmt::format("many/{:05}", i), *id));
  EXPECT_THAT(list({.pattern = "many/", .prefix = true}), SizeIs(12'000));
  EXPECT_THAT(list({.pattern = "many/*7"}), SizeIs(1200));
}

TEST_F(Names, TwoProcessesThatWriteOneNameAlternateWholeVersions) {
  constexpr uint64_t kRounds = 150;
  std::vector<Child> writers;
  for (uint64_t who = 1; who <= 2; ++who) {
    writers.emplace_back([&, who] {
      Client mine = daemon_.Connect();
      for (uint64_t i = 0; i < kRounds; ++i) {
        const size_t size = i % 2 == 0 ? 1000 : kInlineMax + 8;
        std::vector<std::byte> bytes(size, static_cast<std::byte>(who));
        ObjectBuilder builder("test");
        builder.AddBuffer(bytes);
        if (!mine.Put(builder, {.timeout = {}, .name = "shared"}).ok()) return 1;
      }
      return 0;
    });
  }
  // Meanwhile every version that is seen is whole, and none is older than one before.
  uint64_t seen = 0;
  while (seen < 2 * kRounds) {
    auto info = client_.GetName("shared", {.wait = true});
    ASSERT_OK(info);
    ASSERT_GE(info->version, seen);
    seen = info->version;
    auto object = client_.Get("shared");
    ASSERT_OK(object);
    const auto bytes = object->buffers()[0].bytes();
    ASSERT_TRUE(bytes.size() == 1000 || bytes.size() == kInlineMax + 8);
    ASSERT_TRUE(std::ranges::all_of(bytes, [&](std::byte b) { return b == bytes[0]; }));
  }
  for (Child& writer : writers) EXPECT_EQ(writer.Wait(), 0);
  EXPECT_EQ(client_.GetName("shared").value().version, 2 * kRounds);
  EXPECT_EQ(client_.GetStatus().value().objects, 1U);
}

}  // namespace
}  // namespace vineyard
