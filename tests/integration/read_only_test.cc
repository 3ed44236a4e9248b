// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A volume's second socket: who comes through it reads, and changes nothing.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"
#include "vineyard/stream.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using testing::Builder;
using testing::FreshToken;
using ::testing::HasSubstr;
using testing::HoldsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::MakeFrame;
using testing::PutPattern;
using testing::RawClient;
using testing::TempFolder;
using testing::TestDaemon;

class ReadOnly : public ::testing::Test {
 protected:
  ReadOnly()
      : owner_(daemon_.Connect()), paths_{At("volume/vineyard.sock"), At("shown/vineyard.sock")} {
    VolumeOptions volume;
    volume.read_only_socket = paths_.second;
    auto made = owner_.CreateVolume("data", At("volume"), volume);
    EXPECT_OK(made);
    EXPECT_EQ(made->socket, paths_.first);
    EXPECT_EQ(made->read_only_socket, paths_.second);
  }
  std::string At(const std::string& name) { return daemon_.folder() + "/" + name; }
  Client Writer() { return Client::Connect(paths_.first).value(); }
  Client Reader() { return Client::Connect(paths_.second).value(); }

  TestDaemon daemon_;
  Client owner_;
  std::pair<std::string, std::string> paths_;  // of the writers' socket and the readers'
};

// All that a client can ask for that is more than reading.
void ExpectNothingChanges(Client& reader, ObjectId id) {
  const auto expect_refused = [](const Status& status) {
    EXPECT_CODE(kPermissionDenied, status);
    EXPECT_THAT(std::string(status.message()), HasSubstr("for reading only"));
  };
  expect_refused(PutPattern(reader, 3, kSmall).status());
  expect_refused(PutPattern(reader, 3, kLarge, "small").status());
  expect_refused(reader.CreateBlob(100).status());
  expect_refused(reader.Allocate(kLarge).status());
  expect_refused(reader.PutName("mine", id).status());
  expect_refused(reader.DropName("small"));
  expect_refused(reader.Delete({id}).status());
  expect_refused(reader.SetLabels(id, {{"a", "b"}}));
  expect_refused(reader.CreateStream(id));
  expect_refused(reader.OpenStreamReader(id).status());
  expect_refused(reader.OpenStreamWriter(id).status());
  expect_refused(reader.DropStream(id));
  expect_refused(reader.ListVolumes().status());
  expect_refused(reader.RemoveVolume("data"));
  const TempFolder folder;
  expect_refused(reader.CreateVolume("more", folder.path() + "/more", 0).status());
  EXPECT_FALSE(fs::exists(folder.path() + "/more/vineyard.sock"));
}

TEST_F(ReadOnly, ReadersGetAndListAndChangeNothing) {
  Client writer = Writer();
  Client reader = Reader();
  EXPECT_FALSE(writer.GetStatus().value().read_only);
  EXPECT_TRUE(reader.GetStatus().value().read_only);
  EXPECT_EQ(reader.volume(), "data");
  ASSERT_OK_AND_ASSIGN(const ObjectId small, PutPattern(writer, 1, kSmall, "small"));
  ASSERT_OK(PutPattern(writer, 2, kLarge, "large"));
  for (int round = 1; round <= 2; ++round) {
    EXPECT_TRUE(HoldsPattern(reader.Get("small"), 1, kSmall));
    EXPECT_TRUE(HoldsPattern(reader.Get(small), 1, kSmall));
    EXPECT_TRUE(HoldsPattern(reader.Get("large"), 2, kLarge));
    EXPECT_EQ(reader.ListNames().value().size(), 2U);
    EXPECT_EQ(reader.List({.limit = SIZE_MAX}).value().size(), 2U);
    EXPECT_TRUE(reader.Exists(small).value());
    ExpectNothingChanges(reader, small);
    EXPECT_EQ(writer.GetStatus().value().names, 2U);
    EXPECT_EQ(writer.GetStatus().value().objects, 2U);
    // A new engine takes both sockets over, each as what it was.
    daemon_.KillEngine();
    ASSERT_EQ(Reader().GetStatus().value().generation, static_cast<uint64_t>(round) + 1);
  }
  EXPECT_TRUE(Reader().GetStatus().value().read_only);
  EXPECT_FALSE(Writer().GetStatus().value().read_only);
}

TEST_F(ReadOnly, ReadersWaitForNames) {
  Client writer = Writer();
  testing::Bell got;
  testing::Child waits([&] {
    Client reader = Reader();
    const bool right =
        HoldsPattern(reader.Get("later", {.timeout = Timeout(100'000), .wait = true}), 1, kLarge);
    got.Ring();
    return right ? 0 : 1;
  });
  ASSERT_OK(PutPattern(writer, 1, kLarge, "later"));
  EXPECT_EQ(waits.Wait(), 0);
}

// Neither with a number that nothing was heard of, nor by claiming what an engine before may have given.
TEST_F(ReadOnly, WhatARequestSaysOfItselfMakesNoDifference) {
  Client writer = Writer();
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(writer, 1, kSmall, "small"));
  const uint64_t usage = writer.GetStatus().value().memory_usage;
  const auto token = FreshToken();
  {
    RawClient first(paths_.second, token);
  }
  daemon_.KillEngine();
  RawClient raw(paths_.second);
  const auto welcome = raw.Ask(MakeFrame(fb::RequestBody::Hello, [&](Builder& b) {
    const fb::Token t(token.high, token.low);
    const std::vector<uint64_t> claims{(id.value() - 1) | uint64_t{1} << 63};
    return fb::CreateHello(b, 1, &t, 1, b.CreateVector(claims)).Union();
  }));
  ASSERT_TRUE(welcome);
  ASSERT_EQ(welcome->code(), StatusCode::kOk) << welcome->body().message()->str();
  const std::vector<uint64_t> ids{id.value()};
  const std::vector<std::pair<fb::RequestBody, std::function<flatbuffers::Offset<void>(Builder&)>>>
      requests{
          {fb::RequestBody::Delete,
           [&](Builder& b) {
             return fb::CreateDelete(b, 1, b.CreateVector(ids), true, true).Union();
           }},
          {fb::RequestBody::DropName,
           [&](Builder& b) { return fb::CreateDropName(b, 1, b.CreateString("small")).Union(); }},
          {fb::RequestBody::Abort, [&](Builder& b) { return fb::CreateAbort(b, 5).Union(); }},
          {fb::RequestBody::NextChunk,
           [&](Builder& b) { return fb::CreateNextChunk(b, id.value(), 1, 0, 10).Union(); }},
          {fb::RequestBody::Reserve,
           [&](Builder& b) { return fb::CreateReserve(b, 10, 10).Union(); }},
      };
  for (const auto& [type, body] : requests) {
    const auto reply = raw.Ask(MakeFrame(type, body));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kPermissionDenied) << fb::EnumNameRequestBody(type);
  }
  EXPECT_TRUE(HoldsPattern(writer.Get("small"), 1, kSmall));
  EXPECT_EQ(writer.GetStatus().value().memory_usage, usage);
}

mode_t ModeOf(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST_F(ReadOnly, EachSocketHasRightsOfItsOwn) {
  VolumeOptions volume;
  volume.rights.mode = 0600;
  volume.read_only_socket = At("open/to/all.sock");
  volume.read_only_rights.mode = 0666;
  ASSERT_OK(owner_.CreateVolume("other", At("other"), volume));
  EXPECT_EQ(ModeOf(At("other/vineyard.sock")), 0600U);
  EXPECT_EQ(ModeOf(At("open/to/all.sock")), 0666U);
  EXPECT_EQ(ModeOf(paths_.first), 0660U);
  const auto listed = owner_.ListVolumes();
  ASSERT_OK(listed);
  EXPECT_EQ(listed->back().read_only_socket, At("open/to/all.sock"));
  EXPECT_EQ(listed->front().read_only_socket, "");
  ASSERT_OK(owner_.RemoveVolume("other"));
  EXPECT_FALSE(fs::exists(At("other/vineyard.sock")));
  EXPECT_FALSE(fs::exists(At("open/to/all.sock")));
}

TEST_F(ReadOnly, RootGivesASocketToAnother) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  VolumeOptions volume;
  volume.rights = {.mode = 0600, .owner = 12'345, .group = 54'321};
  ASSERT_OK(owner_.CreateVolume("theirs", At("theirs"), volume));
  struct stat info{};
  ASSERT_EQ(::stat(At("theirs/vineyard.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12'345U);
  EXPECT_EQ(info.st_gid, 54'321U);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(ReadOnly, WhatCannotBeMadeLeavesNothing) {
  VolumeOptions volume;
  volume.read_only_socket = paths_.second;  // another volume's
  EXPECT_CODE(kAlreadyExists, owner_.CreateVolume("a", At("a"), volume));
  EXPECT_FALSE(fs::exists(At("a/vineyard.sock")));
  volume.read_only_socket = At("a/vineyard.sock");
  EXPECT_CODE(kInvalid, owner_.CreateVolume("a", At("a"), volume));
  for (const char* wrong : {"", "x/", "x/.."}) {
    volume.read_only_socket = At("b/") + wrong;
    EXPECT_CODE(kInvalid, owner_.CreateVolume("a", At("a"), volume)) << wrong;
  }
  volume.read_only_socket = At("b/sock");
  for (const uint32_t mode : {0U, 0060U, 01777U}) {
    volume.read_only_rights.mode = mode;
    EXPECT_CODE(kInvalid, owner_.CreateVolume("a", At("a"), volume)) << mode;
  }
  volume.read_only_rights.mode = 0660;
  EXPECT_CODE(kAlreadyExists, owner_.CreateVolume("data", At("a"), volume));
  EXPECT_FALSE(fs::exists(At("a/vineyard.sock")));
  EXPECT_FALSE(fs::exists(At("b/sock")));
  EXPECT_OK(owner_.CreateVolume("a", At("a"), volume));
}

TEST(ReadOnlyInstance, TheDefaultVolumeMayHaveSuchASocketToo) {
  const TempFolder folder;
  const std::string path = folder.path() + "/readers.sock";
  TestDaemon daemon({.flags = {"--read_only_socket", path, "--read_only_socket_mode", "0666"},
                     .environment = {},
                     .descriptors = {},
                     .user = {}});
  Client writer = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(writer, 1, kLarge, "small"));
  EXPECT_EQ(ModeOf(path), 0666U);
  ASSERT_OK_AND_ASSIGN(Client reader, Client::Connect(path));
  ExpectNothingChanges(reader, id);
  daemon.KillEngine();
  EXPECT_TRUE(HoldsPattern(reader.Get("small"), 1, kLarge));
  ExpectNothingChanges(reader, id);
  EXPECT_EQ(writer.ListVolumes().value().front().read_only_socket, path);
  reader.Close();
  writer.Close();
  EXPECT_EQ(daemon.Stop(), 0);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace vineyard
