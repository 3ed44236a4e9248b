// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Volumes: nobody sees another one's things, and who may make and remove them.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::Builder;
using testing::Child;
using testing::Eventually;
using testing::FreshToken;
using ::testing::HasSubstr;
using testing::HoldsPattern;
using testing::MakeFrame;
using testing::Pattern;
using testing::PutPattern;
using testing::RawClient;
using ::testing::SizeIs;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

class Volumes : public ::testing::Test {
 protected:
  Volumes() : client_(daemon_.Connect()) {}
  std::string Folder(const std::string& name) { return daemon_.folder() + "/" + name; }
  std::string SocketOf(const std::string& name) { return Folder(name) + "/vineyard.sock"; }
  Client Make(const std::string& name, uint64_t quota = 0) {
    auto made = client_.CreateVolume(name, Folder(name), quota);
    EXPECT_OK(made);
    return Client::Connect(SocketOf(name)).value();
  }
  TestDaemon daemon_;
  Client client_;
};

TEST_F(Volumes, NoneSeesTheNamesOrObjectsOfAnother) {
  Client a = Make("a");
  Client b = Make("b");
  EXPECT_EQ(client_.volume(), "default");
  EXPECT_EQ(a.volume(), "a");
  for (const size_t size : {size_t{100}, kMiB}) {
    auto id = PutPattern(a, 1, size, "n");
    ASSERT_OK(id);
    auto blob = a.CreateBlob(size);
    ASSERT_OK(blob);
    auto sealed = a.Seal(std::move(*blob));
    ASSERT_OK(sealed);
    for (Client* other : {&b, &client_}) {
      EXPECT_CODE(kNotFound, other->Get("n"));
      EXPECT_CODE(kNotFound, other->GetName("n"));
      EXPECT_CODE(kNotFound, other->Get(*id));
      EXPECT_CODE(kNotFound, other->GetBlob(id->own_blob()));
      EXPECT_CODE(kNotFound, other->GetBlob(sealed->id()));
      EXPECT_CODE(kNotFound, other->Delete({*id}));
      EXPECT_CODE(kNotFound, other->Delete({sealed->id()}));
      EXPECT_CODE(kNotFound, other->PutName("mine", *id));
      EXPECT_CODE(kNotFound, other->SetLabels(*id, {{"a", "b"}}));
      EXPECT_CODE(kNotFound, other->Put(ObjectBuilder("x").AddMember("m", *id)));
      EXPECT_THAT(other->List({.limit = SIZE_MAX}).value(), SizeIs(0));
      EXPECT_THAT(other->ListNames().value(), SizeIs(0));
      const InstanceStatus status = other->GetStatus().value();
      EXPECT_EQ(status.objects + status.blobs + status.names + status.memory_usage, 0U);
      RawClient raw(other->socket(), FreshToken());
      const auto opened = raw.Ask(MakeFrame(fb::RequestBody::OpenExtents, [&](Builder& builder) {
        const std::vector<uint64_t> blobs{id->own_blob().value(), sealed->id().value()};
        return fb::CreateOpenExtents(builder, builder.CreateVector(blobs)).Union();
      }));
      ASSERT_TRUE(opened);
      EXPECT_THAT(opened->fds, SizeIs(0));
    }
    if (size > kMiB / 2) {
      // A zero-copy blob of one volume, put into another: the reference means nothing there.
      auto object = a.Get(*id);
      ASSERT_OK(object);
      EXPECT_CODE(kNotFound, b.Put(ObjectBuilder("x").AddBuffer(object->buffers()[0])));
    }
    EXPECT_TRUE(HoldsPattern(a.Get("n"), 1, size));
  }
  ASSERT_OK(PutPattern(b, 2, kMiB, "n"));
  EXPECT_TRUE(HoldsPattern(a.Get("n"), 1, kMiB));
  EXPECT_TRUE(HoldsPattern(b.Get("n"), 2, kMiB));
  daemon_.KillEngine();
  EXPECT_TRUE(HoldsPattern(a.Get("n"), 1, kMiB));
  EXPECT_TRUE(HoldsPattern(b.Get("n"), 2, kMiB));
  EXPECT_CODE(kNotFound, client_.Get("n"));
}

TEST_F(Volumes, AreListedAndRemovedWithAllTheyHold) {
  const uint64_t held = client_.GetStatus().value().memory_held;
  Client a = Make("a", 32 * kMiB);
  ASSERT_OK(PutPattern(a, 1, 8 * kMiB, "n"));
  auto object = a.Get("n");
  ASSERT_OK(object);
  auto list = client_.ListVolumes();
  ASSERT_OK(list);
  ASSERT_THAT(*list, SizeIs(2));
  const VolumeInfo& info = (*list)[1];
  EXPECT_EQ(info.name, "a");
  EXPECT_EQ(info.socket, SocketOf("a"));
  EXPECT_EQ(info.quota, 32 * kMiB);
  EXPECT_EQ(info.objects, 1U);
  EXPECT_EQ(info.names, 1U);
  EXPECT_GE(info.memory_usage, 8 * kMiB);
  EXPECT_GE(info.connections, 1U);
  EXPECT_CODE(kAlreadyExists, client_.CreateVolume("a", Folder("elsewhere"), 0));
  EXPECT_CODE(kAlreadyExists, client_.CreateVolume("default", Folder("elsewhere"), 0));
  EXPECT_FALSE(fs::exists(SocketOf("elsewhere")));
  EXPECT_CODE(kAlreadyExists, client_.CreateVolume("c", Folder("a"), 0))
      << "a live socket is there";
  ASSERT_OK(client_.RemoveVolume("a"));
  EXPECT_FALSE(fs::exists(SocketOf("a")));
  EXPECT_FALSE(a.Get("n").ok());
  EXPECT_FALSE(a.GetStatus().ok());
  EXPECT_TRUE(HoldsPattern(object, 1, 8 * kMiB)) << "what was mapped stays readable";
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_lingering == 8 * kMiB; }));
  object = Status::NotFound("let go");
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_held <= held; }));
  Client again = Make("a");
  EXPECT_CODE(kNotFound, again.Get("n"));
  EXPECT_CODE(kNotFound, client_.RemoveVolume("absent"));
  EXPECT_CODE(kInvalid, client_.RemoveVolume("default"));
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string(200, 'v')}) {
    EXPECT_CODE(kInvalid, client_.CreateVolume(bad, Folder("bad"), 0)) << bad;
  }
  EXPECT_FALSE(fs::exists(SocketOf("bad")));
  EXPECT_EQ(daemon_.Stop(), 0);
  EXPECT_FALSE(fs::exists(SocketOf("a")));
}

TEST_F(Volumes, AnotherEngineServesThemAtTheSameSockets) {
  Client a = Make("a");
  ASSERT_OK(PutPattern(a, 1, kMiB, "n"));
  ASSERT_OK(client_.CreateVolume("b", Folder("b"), 0));
  ASSERT_OK(client_.RemoveVolume("b"));
  daemon_.KillEngine();
  EXPECT_TRUE(HoldsPattern(a.Get("n"), 1, kMiB));
  EXPECT_TRUE(HoldsPattern(Client::Connect(SocketOf("a"))->Get("n"), 1, kMiB));
  EXPECT_THAT(client_.ListVolumes().value(), SizeIs(2));
  EXPECT_EQ(daemon_.Stop(), 0);
  EXPECT_FALSE(fs::exists(SocketOf("a")));
}

TEST_F(Volumes, AStaleSocketIsReplacedAndAForeignFileIsNot) {
  {
    const Client a = Make("a");
  }
  daemon_.KillKeeper();
  EXPECT_TRUE(fs::exists(SocketOf("a"))) << "left behind";
  daemon_.Start();
  Client client = daemon_.Connect();
  ASSERT_OK(client.CreateVolume("a", Folder("a"), 0));
  EXPECT_OK(Client::Connect(SocketOf("a")));
  fs::create_directory(Folder("f"));
  std::ofstream(SocketOf("f")) << "precious";
  EXPECT_FALSE(client.CreateVolume("f", Folder("f"), 0).ok());
  EXPECT_EQ(fs::file_size(SocketOf("f")), 8U);
  std::ofstream(Folder("file")) << "x";
  EXPECT_FALSE(client.CreateVolume("g", Folder("file"), 0).ok());
  EXPECT_THAT(client.ListVolumes().value(), SizeIs(2));
}

TEST_F(Volumes, AreManagedOnTheFirstSocketOnly) {
  Client a = Make("a");
  EXPECT_CODE(kPermissionDenied, a.CreateVolume("b", Folder("b"), 0));
  EXPECT_CODE(kPermissionDenied, a.ListVolumes());
  EXPECT_CODE(kPermissionDenied, a.RemoveVolume("a"));
  EXPECT_FALSE(fs::exists(SocketOf("b")));
}

TEST(VolumesOfOthers, AnotherUserMayUseASocketButNotManageVolumes) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  const TestDaemon open({.flags = {"--socket_mode", "0666"}});
  const TestDaemon closed;
  fs::permissions(open.folder(), fs::perms(0755));
  fs::permissions(closed.folder(), fs::perms(0755));
  struct stat info{};
  ASSERT_EQ(::stat(closed.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0660U);
  Child nobody([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 1;
    if (!Client::Connect(closed.socket()).status().Is(StatusCode::kPermissionDenied)) return 2;
    auto client = Client::Connect(open.socket());
    if (!client.ok()) return 3;
    if (!HoldsPattern(client->Get(*PutPattern(*client, 1, kMiB)), 1, kMiB)) return 4;
    auto made = client->CreateVolume("a", "/tmp/vineyard-test-" + std::to_string(::getpid()), 0);
    std::error_code ignored;
    fs::remove_all("/tmp/vineyard-test-" + std::to_string(::getpid()), ignored);
    if (!made.status().Is(StatusCode::kPermissionDenied)) return 5;
    return client->ListVolumes().status().Is(StatusCode::kPermissionDenied) ? 0 : 6;
  });
  EXPECT_EQ(nobody.Wait(), 0);
}

TEST_F(Volumes, AQuotaBoundsItsVolumeAndNoOther) {
  Client a = Make("a", 16 * kMiB);
  EXPECT_EQ(a.GetStatus().value().memory_limit, 16 * kMiB);
  EXPECT_CODE(kOutOfMemory, a.CreateBlob(17 * kMiB, {.timeout = std::chrono::hours(1)}));
  auto first = PutPattern(a, 1, 10 * kMiB);
  ASSERT_OK(first);
  auto full = a.CreateBlob(10 * kMiB, {.timeout = milliseconds(100)});
  EXPECT_CODE(kOutOfMemory, full);
  EXPECT_THAT(full.status().message(), HasSubstr("quota"));
  EXPECT_OK(PutPattern(client_, 2, 20 * kMiB));
  std::thread writer([&] { EXPECT_OK(PutPattern(a, 3, 10 * kMiB)); });
  EXPECT_TRUE(Eventually([&] { return a.GetStatus().value().waiting == 1; }));
  ASSERT_OK(a.Delete({*first}));
  writer.join();
}

// ---- guaranteed memory

class GuaranteedMemory : public ::testing::Test {
 protected:
  static std::string Folder(const TestDaemon& daemon, const std::string& name) {
    return daemon.folder() + "/" + name;
  }
  static Status Make(Client& client, const TestDaemon& daemon, const std::string& name,
                     uint64_t guaranteed, const CallOptions& call = {}) {
    VolumeOptions options;
    options.guaranteed = guaranteed;
    return client.CreateVolume(name, Folder(daemon, name), options, call).status();
  }
  static Client ConnectTo(const TestDaemon& daemon, const std::string& name) {
    return Client::Connect(Folder(daemon, name) + "/vineyard.sock").value();
  }
  /// Puts until there is no more room.
  static uint64_t Fill(Client& client, std::vector<ObjectId>* ids) {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < 1000; ++i, bytes += 4 * kMiB) {
      auto blob = client.CreateBlob(4 * kMiB, {.timeout = milliseconds(0)});
      if (!blob.ok()) {
        EXPECT_CODE(kOutOfMemory, blob);
        return bytes;
      }
      auto sealed = client.Seal(std::move(*blob));
      EXPECT_OK(sealed);
      if (sealed.ok()) ids->push_back(sealed->id());
    }
    return bytes;
  }
};

TEST_F(GuaranteedMemory, OthersLeaveItHoweverMuchTheyWantAndAnEnginesDeathChangesNothing) {
  TestDaemon daemon({.size = "64Mi"});
  Client client = daemon.Connect();
  ASSERT_OK(Make(client, daemon, "data", 24 * kMiB));
  Client data = ConnectTo(daemon, "data");
  std::vector<ObjectId> ids;
  EXPECT_LE(Fill(client, &ids), 40 * kMiB);
  EXPECT_GE(ids.size(), 8U);
  const auto refused = client.CreateBlob(8 * kMiB, {.timeout = milliseconds(0)});
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("guaranteed to volume 'data'"));
  // Somebody waits all the time, and is not served from it.
  std::thread waits(
      [&] { EXPECT_OK(client.CreateBlob(8 * kMiB, {.timeout = std::chrono::minutes(10)})); });
  EXPECT_TRUE(Eventually([&] { return data.GetStatus().value().waiting == 1; }));
  std::vector<ObjectId> own;
  EXPECT_GE(Fill(data, &own), 20 * kMiB);
  ASSERT_OK(data.Delete(own));
  daemon.KillEngine();
  own.clear();
  EXPECT_TRUE(Eventually([&] { return data.GetStatus().value().waiting == 1; }));
  EXPECT_TRUE(Eventually([&] {
    Fill(data, &own);
    return own.size() >= 5;
  }));
  const InstanceStatus status = data.GetStatus().value();
  EXPECT_EQ(status.memory_guaranteed, 24 * kMiB);
  EXPECT_EQ(status.memory_kept, 0U);
  ASSERT_OK(data.Delete(own));
  EXPECT_TRUE(Eventually([&] { return data.GetStatus().value().memory_usage == 0; }));
  Client another = daemon.Connect();
  EXPECT_TRUE(Eventually([&] { return another.GetStatus().value().memory_kept >= 23 * kMiB; }));
  EXPECT_EQ(another.GetStatus().value().memory_limit, 40 * kMiB);
  ASSERT_OK(another.Delete(std::vector(ids.begin(), ids.begin() + 3)));
  waits.join();
}

TEST_F(GuaranteedMemory, IsThereWhenTheVolumeIsAndGoesWithIt) {
  TestDaemon daemon({.size = "64Mi", .flags = {"--guaranteed", "16Mi"}});
  Client client = daemon.Connect();
  EXPECT_EQ(client.GetStatus().value().memory_guaranteed, 16 * kMiB);
  const Status too_much = Make(client, daemon, "much", 49 * kMiB);
  EXPECT_CODE(kOutOfMemory, too_much);
  EXPECT_THAT(std::string(too_much.message()), HasSubstr("at most 48 MiB"));
  std::vector<ObjectId> ids;
  Fill(client, &ids);
  const Status held =
      Make(client, daemon, "data", 32 * kMiB, CallOptions{.timeout = milliseconds(50)});
  EXPECT_CODE(kOutOfMemory, held);
  EXPECT_THAT(std::string(held.message()), HasSubstr("in large objects"));
  std::thread maker([&] {
    Client other = daemon.Connect();
    EXPECT_OK(Make(other, daemon, "data", 32 * kMiB, {.timeout = std::chrono::minutes(10)}));
  });
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().waiting == 1; }));
  ASSERT_OK(client.Delete(ids));
  maker.join();
  ids.clear();
  EXPECT_LE(Fill(client, &ids), 32 * kMiB);
  const auto volumes = client.ListVolumes();
  ASSERT_OK(volumes);
  ASSERT_THAT(*volumes, SizeIs(2));
  EXPECT_EQ((*volumes)[0].guaranteed, 16 * kMiB);
  EXPECT_EQ((*volumes)[1].guaranteed, 32 * kMiB);
  EXPECT_GE((*volumes)[0].memory_held, ids.size() * 4 * kMiB);
  EXPECT_LT((*volumes)[1].memory_held, kMiB);
  EXPECT_CODE(kInvalid, client.CreateVolume("wrong", Folder(daemon, "wrong"),
                                            {.quota = kMiB,
                                             .guaranteed = 2 * kMiB,
                                             .rights = {},
                                             .read_only_socket = {},
                                             .read_only_rights = {}}));
  ASSERT_OK(client.RemoveVolume("data"));
  EXPECT_TRUE(Eventually([&] { return Fill(client, &ids) > 0; }));
}

TEST_F(GuaranteedMemory, ABrokenConnectionGivesUpTheVolumeItWaitedFor) {
  TestDaemon daemon({.size = "64Mi"});
  Client client = daemon.Connect();
  std::vector<ObjectId> ids;
  Fill(client, &ids);
  Child maker([&] {
    Client own = daemon.Connect();
    return Make(own, daemon, "data", 32 * kMiB, {.timeout = std::chrono::minutes(10)}).ok() ? 0 : 1;
  });
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().waiting == 1; }));
  maker.Kill();
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().waiting == 0; }));
  ASSERT_OK(client.Delete(ids));
  EXPECT_THAT(client.ListVolumes().value(), SizeIs(1));
  EXPECT_EQ(client.GetStatus().value().memory_kept, 0U);
}

TEST_F(GuaranteedMemory, WithADiskTooOthersObjectsMakeRoomAndItsOwnStay) {
  const testing::TempFolder disk;
  TestDaemon daemon({.size = "64Mi",
                     .flags = {"--spill_path", disk.path(), "--spill_upper_rate", "1",
                               "--spill_lower_rate", "1"}});
  Client client = daemon.Connect();
  ASSERT_OK(Make(client, daemon, "data", 24 * kMiB));
  Client data = ConnectTo(daemon, "data");
  std::vector<ObjectId> own;
  for (uint64_t i = 0; i < 4; ++i) {
    auto id = PutPattern(data, i, 4 * kMiB);
    ASSERT_OK(id);
    own.push_back(*id);
  }
  for (uint64_t i = 0; i < 30; ++i) ASSERT_OK(PutPattern(client, 100 + i, 4 * kMiB));
  EXPECT_GT(client.GetStatus().value().evictions, 15U);
  EXPECT_EQ(data.GetStatus().value().spilled_bytes, 0U);
  // At once: without any time to make room in.
  auto blob = data.CreateBlob(4 * kMiB, {.timeout = milliseconds(0)});
  EXPECT_OK(blob);
  for (uint64_t i = 0; i < own.size(); ++i) {
    EXPECT_TRUE(HoldsPattern(data.Get(own[i]), i, 4 * kMiB));
  }
}

}  // namespace
}  // namespace vineyard
