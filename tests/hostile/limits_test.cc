// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Where descriptors or the engine's own memory are short: whoever asks for more gets an error, and nobody else
// notices.
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "os/fd.h"
#include "wire/frame.h"

namespace vineyard::testing {
namespace {

using ::testing::HasSubstr;

constexpr size_t kInExtent = size_t{300} << 10;

class Limits : public ::testing::Test {
 protected:
  /// With so few descriptors for engine and keeper.
  void Start(uint64_t descriptors, std::vector<std::string> flags = {}) {
    daemon_ = std::make_unique<TestDaemon>(DaemonOptions{
        .flags = std::move(flags), .environment = {}, .descriptors = descriptors, .user = {}});
    client_.emplace(daemon_->Connect());
    ASSERT_OK(PutPattern(*client_, 1, kSmall, "small"));
    ASSERT_OK(PutPattern(*client_, 2, kInExtent, "large"));
  }
  std::string MakeVolume(const std::string& name, uint64_t quota = 0) {
    const std::string folder = daemon_->folder() + "/" + name;
    EXPECT_OK(client_->CreateVolume(name, folder, quota));
    return folder + "/vineyard.sock";
  }
  void ExpectUnharmed(uint64_t generation = 1) {
    EXPECT_TRUE(HoldsPattern(client_->Get("small"), 1, kSmall));
    EXPECT_TRUE(HoldsPattern(client_->Get("large"), 2, kInExtent));
    EXPECT_EQ(client_->GetStatus().value().generation, generation);
  }

  std::unique_ptr<TestDaemon> daemon_;
  std::optional<Client> client_;
};

// Connects as new clients until one is refused; what that was told.
std::string FillWithClients(const std::string& socket, std::vector<RawClient>* clients) {
  for (int i = 0; i < 10'000; ++i) {
    RawClient raw(socket);
    const auto reply = raw.Ask(HelloFrame(FreshToken()));
    if (!reply) return "closed without a word";
    if (reply->code() != StatusCode::kOk) {
      EXPECT_EQ(reply->code(), StatusCode::kLimitExceeded);
      return reply->body().message()->str();
    }
    clients->push_back(std::move(raw));
  }
  return "no end";
}

Bytes GoodbyeFrame() {
  return MakeFrame(fb::RequestBody::Goodbye,
                   [](flatbuffers::FlatBufferBuilder& b) { return fb::CreateGoodbye(b).Union(); });
}

TEST_F(Limits, AFloodOfClientsIsRefusedWithAReasonAndLeavesOtherVolumesTheirs) {
  Start(512);
  const std::string victim = MakeVolume("victim");
  const std::string late = MakeVolume("late");
  Bell flooded;
  Bell go_on;
  Child flood([&] {
    std::vector<RawClient> clients;
    const std::string told = FillWithClients(daemon_->socket(), &clients);
    flooded.Ring(clients.size());
    if (!go_on.Wait()) return 1;
    return told.find("ulimit -n") != std::string::npos ? 0 : 2;
  });
  const std::optional<uint64_t> got_in = flooded.Wait();
  ASSERT_TRUE(got_in);
  EXPECT_GE(*got_in, 20U);
  EXPECT_LE(*got_in, 42U);  // half of the descriptors, at six each
  ExpectUnharmed();
  // Real clients are told the same, at once.
  const auto refused = Client::Connect(daemon_->socket());
  EXPECT_CODE(kLimitExceeded, refused);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("ulimit -n"));
  for (const std::string& socket : {victim, late}) {
    std::vector<Client> neighbours;
    for (int i = 0; i < 4; ++i) {
      auto neighbour = Client::Connect(socket);
      ASSERT_OK(neighbour);
      ASSERT_OK(PutPattern(*neighbour, 5, kInExtent, "theirs"));
      EXPECT_TRUE(HoldsPattern(neighbour->Get("theirs"), 5, kInExtent));
      neighbours.push_back(std::move(*neighbour));
    }
  }
  // Who was a client already stays one.
  daemon_->KillEngine();
  ExpectUnharmed(2);
  go_on.Ring();
  EXPECT_EQ(flood.Wait(), 0);
  EXPECT_TRUE(Eventually([&] { return Client::Connect(daemon_->socket()).ok(); }));
  ExpectUnharmed(2);
}

// A process that connects, says who it is and hangs up is one client more each time, until it ends.
TEST_F(Limits, ClientsThatHaveHungUpCountAsLongAsTheirProcessLives) {
  Start(512);
  Bell flooded;
  Bell go_on;
  Child flood([&] {
    uint64_t came = 0;
    for (; came < 1000; ++came) {
      RawClient raw(daemon_->socket());
      const auto reply = raw.Ask(HelloFrame(FreshToken()));
      if (!reply || reply->code() != StatusCode::kOk) break;
    }
    flooded.Ring(came);
    return go_on.Wait() ? 0 : 1;
  });
  const std::optional<uint64_t> got_in = flooded.Wait();
  ASSERT_TRUE(got_in);
  EXPECT_LE(*got_in, 42U);
  ExpectUnharmed();
  go_on.Ring();
  EXPECT_EQ(flood.Wait(), 0);
  EXPECT_TRUE(Eventually([&] { return Client::Connect(daemon_->socket()).ok(); }));
}

TEST_F(Limits, ConnectionsThatSayNothingAreFewAndEnd) {
  Start(512);
  const uint64_t before = OpenDescriptors(daemon_->engine());
  std::vector<RawClient> silent;
  for (int i = 0; i < 400; ++i) silent.emplace_back(daemon_->socket());
  ExpectUnharmed();
  EXPECT_OK(Client::Connect(daemon_->socket()));
  EXPECT_LE(OpenDescriptors(daemon_->engine()), before + 64);
  for (RawClient& raw : silent) EXPECT_TRUE(raw.IsDropped());
  // A wrong greeting is not one.
  RawClient wrong(daemon_->socket());
  const auto reply = wrong.Ask(HelloFrame(FreshToken(), 1, 999));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kProtocol);
  EXPECT_TRUE(wrong.IsDropped());
  ExpectUnharmed();
  const std::string log = daemon_->log();
  size_t lines = 0;
  for (size_t at = 0; (at = log.find("say nothing", at)) != std::string::npos; ++at) ++lines;
  EXPECT_LE(lines, 60U) << log;
}

TEST_F(Limits, WithoutDescriptorsForItAnExtentIsRefusedAndNothingElse) {
  Start(200);
  std::vector<ObjectId> ids;
  Status refused;
  for (uint64_t i = 0; i < 300 && refused.ok(); ++i) {
    auto id = PutPattern(*client_, i, kInExtent);
    if (id.ok()) {
      ids.push_back(*id);
    } else {
      refused = id.status();
    }
  }
  EXPECT_CODE(kLimitExceeded, refused);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.message()), HasSubstr("ulimit -n"));
  EXPECT_GE(ids.size(), 50U);
  ExpectUnharmed();
  ASSERT_OK(PutPattern(*client_, 7, kSmall, "another small one"));
  std::vector<Client> others;
  for (int i = 0; i < 4; ++i) {
    auto other = Client::Connect(daemon_->socket());
    ASSERT_OK(other);
    others.push_back(std::move(*other));
  }
  EXPECT_CODE(kLimitExceeded, client_->CreateVolume("more", daemon_->folder() + "/more", 0));
  // A new engine has to hold all of that too.
  daemon_->KillEngine();
  ExpectUnharmed(2);
  for (uint64_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(HoldsPattern(others[0].Get(ids[i]), i, kInExtent));
  }
  Status again;
  for (int i = 0; i < 100 && again.ok(); ++i) {
    auto id = PutPattern(*client_, 8, kInExtent);
    again = id.status();
    if (id.ok()) ids.push_back(*id);
  }
  EXPECT_CODE(kLimitExceeded, again);
  ASSERT_OK(client_->Delete(ids));
  others.clear();
  EXPECT_TRUE(Eventually([&] { return PutPattern(*client_, 9, kInExtent).ok(); }));
  ExpectUnharmed(2);
}

// A volume with as many large objects as it can have leaves another one its large puts; and what comes back from
// the disk counts like what is put.
TEST_F(Limits, ManyMemoryFilesOfOneVolumeLeaveTheOthersTheirs) {
  const TempFolder disk;
  Start(200, {"--spill_path", disk.path(), "--spill_upper_rate", "1", "--spill_lower_rate", "1"});
  ASSERT_OK_AND_ASSIGN(Client victim, Client::Connect(MakeVolume("victim")));
  std::vector<ObjectId> ids;
  Status refused;
  const auto put_until_refused = [&] {
    refused = {};
    while (refused.ok() && ids.size() < 1000) {
      auto id = PutPattern(*client_, ids.size(), kInExtent);
      refused = id.status();
      if (id.ok()) ids.push_back(*id);
    }
    EXPECT_CODE(kLimitExceeded, refused);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("kept for other volumes"));
  };
  const auto expect_victim_puts = [&] {
    std::vector<ObjectId> theirs;
    for (uint64_t i = 0; i < 20; ++i) {
      auto id = PutPattern(victim, i, kInExtent);
      ASSERT_OK(id);
      theirs.push_back(*id);
    }
    ASSERT_OK(victim.Delete(theirs));
  };
  put_until_refused();
  EXPECT_GE(ids.size(), 30U);
  expect_victim_puts();
  const size_t in_memory = ids.size();
  // On the disk they have no files: so many more fit, and then not all of them come back.
  EXPECT_TRUE(Eventually([&] { return client_->Evict(ids).ok(); }));
  EXPECT_TRUE(Eventually([&] {
    put_until_refused();
    return ids.size() >= in_memory + 30;
  }));
  Status loaded;
  for (const ObjectId id : ids) {
    loaded = client_->Load(std::vector{id});
    if (!loaded.ok()) break;
  }
  EXPECT_CODE(kLimitExceeded, loaded);
  expect_victim_puts();
  ExpectUnharmed();
  daemon_->KillEngine();
  EXPECT_TRUE(Eventually([&] { return PutPattern(victim, 3, kInExtent).ok(); }));
  ASSERT_OK(client_->Delete(ids));
  EXPECT_TRUE(Eventually([&] { return PutPattern(*client_, 9, kInExtent).ok(); }));
  ExpectUnharmed(2);
}

// A volume's readers and its writers come through sockets of their own: none keeps the others out.
TEST_F(Limits, ReadersOfAVolumeLeaveItsWritersTheirPlacesAndTheOtherWayRound) {
  Start(512);
  const std::string folder = daemon_->folder() + "/shared";
  const std::string readers = daemon_->folder() + "/readers/vineyard.sock";
  VolumeOptions options;
  options.read_only_socket = readers;
  ASSERT_OK(client_->CreateVolume("shared", folder, options));
  const std::string writers = folder + "/vineyard.sock";
  for (const auto& [flooded, other] : {std::pair(readers, writers), std::pair(writers, readers)}) {
    std::vector<RawClient> flood;
    EXPECT_THAT(FillWithClients(flooded, &flood), HasSubstr("kept for other sockets"));
    EXPECT_GE(flood.size(), 20U);
    std::vector<Client> neighbours;
    for (int i = 0; i < 5; ++i) {
      auto neighbour = Client::Connect(other);
      ASSERT_OK(neighbour);
      neighbours.push_back(std::move(*neighbour));
    }
    EXPECT_OK(Client::Connect(daemon_->socket()));
    // Those who say nothing crowd out only each other.
    std::vector<RawClient> silent;
    for (int i = 0; i < 200; ++i) silent.emplace_back(flooded);
    EXPECT_OK(neighbours[0].GetStatus());
    for (RawClient& raw : flood) raw.Send(GoodbyeFrame());
    flood.clear();
    silent.clear();
    neighbours.clear();
    EXPECT_TRUE(Eventually([&] { return Client::Connect(flooded).ok(); }));
  }
  ExpectUnharmed();
}

// Of many volumes the last one gets clients too, whoever came before.
TEST_F(Limits, OfManyVolumesTheLastHasRoomForClients) {
  Start(512);
  std::vector<std::string> sockets;
  for (int i = 0; i < 15; ++i) sockets.push_back(MakeVolume("volume" + std::to_string(i)));
  std::vector<RawClient> flood;
  for (const std::string& socket : sockets) {
    if (socket != sockets.back()) FillWithClients(socket, &flood);
  }
  auto last = Client::Connect(sockets.back());
  ASSERT_OK(last);
  EXPECT_OK(PutPattern(*last, 1, kInExtent));
  ExpectUnharmed();
}

TEST_F(Hostile, FramesThatNeverEndKeepLittleMemory) {
  ASSERT_OK(client_.CreateVolume("other", daemon_.folder() + "/other", 0));
  ASSERT_OK_AND_ASSIGN(Client other, Client::Connect(daemon_.folder() + "/other/vineyard.sock"));
  wire::FrameHeader header;
  header.request_id = 1;
  header.body_length = 1000;
  header.payload_length = wire::kMaxPayload;
  Bytes begun(size_t{8} << 20);
  std::memcpy(begun.data(), &header, sizeof header);
  // Before it has said who it is nobody may begin such a thing.
  RawClient stranger(daemon_.socket());
  stranger.Send(begun);
  EXPECT_TRUE(stranger.IsDropped());
  const uint64_t before = ResidentBytes(daemon_.engine());
  std::vector<RawClient> raws;
  for (int i = 0; i < 20; ++i) {
    raws.push_back(Raw());
    std::span<const std::byte> left = begun;
    for (int full = 0; full < 10 && !left.empty();) {
      const size_t sent = raws.back().SendSome(left);
      left = left.subspan(sent);
      full += sent == 0 ? 1 : 0;
    }
    ASSERT_OK(client_.GetStatus());
  }
  ExpectUnharmed();
  ASSERT_OK(PutPattern(other, 4, kLarge, "theirs"));
  if (!IsInstrumented()) {
    EXPECT_LT(ResidentBytes(daemon_.engine()), before + (uint64_t{64} << 20));
  }
  raws.clear();
  // What was kept is free again.
  RawClient raw = Raw();
  EXPECT_TRUE(raw.Send(begun));
  ExpectUnharmed();
}

TEST_F(Hostile, PutsThatWaitForMemoryKeepAShareOfTheEnginesOwn) {
  const std::string folder = daemon_.folder() + "/full";
  ASSERT_OK(client_.CreateVolume("full", folder, uint64_t{1} << 20));
  const std::string socket = folder + "/vineyard.sock";
  ASSERT_OK_AND_ASSIGN(Client full, Client::Connect(socket));
  for (int i = 0; i < 3; ++i) ASSERT_OK(PutPattern(full, 1, size_t{250} << 10));
  RawClient raw(socket, FreshToken());
  const std::vector<std::byte> bytes = Pattern(1, size_t{250} << 10);
  const uint64_t many = (uint64_t{256} << 20) / bytes.size() + 20;
  uint64_t refused = 0;
  for (uint64_t i = 1; i <= many; ++i) {
    PutFields put;
    put.number = i;
    put.bytes = bytes;
    put.buffers = {{ObjectId(), 0, bytes.size()}};
    put.timeout_ms = 3'600'000;
    ASSERT_TRUE(raw.Send(PutFrame(put, {.id = i, .payload = {}})));
  }
  while (refused == 0) {
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    if (reply->code() == StatusCode::kLimitExceeded) ++refused;
  }
  ExpectUnharmed();
  raw.Close();
  ExpectUnharmed();
}

TEST_F(Hostile, WaitsOfAVolumeDoNotPileUpWithoutEnd) {
  std::vector<RawClient> raws;
  uint64_t sent = 0;
  for (int i = 0; i < 5; ++i) {
    raws.push_back(Raw());
    Bytes frames;
    for (uint64_t id = 1; id <= 4000; ++id, ++sent) {
      const Bytes frame = GetByNameFrame("nobody puts this", true, id);
      frames.insert(frames.end(), frame.begin(), frame.end());
    }
    ASSERT_TRUE(raws.back().Send(frames));
  }
  const auto reply = raws.back().Receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kLimitExceeded);
  EXPECT_LT(client_.GetStatus().value().waiting, sent);
  ExpectUnharmed();
  raws.clear();
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().waiting == 0; }));
  RawClient raw = Raw();
  const auto long_name = raw.Ask(GetByNameFrame(std::string(5000, 'x'), true));
  ASSERT_TRUE(long_name);
  EXPECT_EQ(long_name->code(), StatusCode::kInvalid);
}

// What has no bytes of its own counts against the volume's quota all the same.
TEST_F(Hostile, NamesLabelsAndStreamsAreOfTheVolumesQuota) {
  constexpr uint64_t kQuota = uint64_t{1} << 20;
  ASSERT_OK(client_.CreateVolume("small", daemon_.folder() + "/volume", kQuota));
  ASSERT_OK_AND_ASSIGN(Client volume, Client::Connect(daemon_.folder() + "/volume/vineyard.sock"));
  const auto usage = [&] { return volume.GetStatus().value().memory_usage; };
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(volume, 1, 100));
  const std::string long_text(4000, 'x');
  Status refused;
  uint64_t names = 0;
  for (; names < 2000 && refused.ok(); ++names) {
    refused = volume.PutName(fmt::format("{}{}", names, long_text), id).status();
  }
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("quota"));
  EXPECT_LE(usage(), kQuota + 8192);
  // A name that is there may point elsewhere, and be dropped.
  ASSERT_OK(volume.PutName(fmt::format("0{}", long_text), id));
  ASSERT_OK(volume.DropName(fmt::format("1{}", long_text)));
  for (uint64_t i = 2; i + 1 < names; ++i) {
    ASSERT_OK(volume.DropName(fmt::format("{}{}", i, long_text)));
  }
  const std::string large(size_t{900} << 10, 'x');
  EXPECT_CODE(kLimitExceeded, volume.SetLabels(id, {{"a", large}, {"b", large}}));
  ASSERT_OK(volume.SetLabels(id, {{"a", large}}));
  ASSERT_OK_AND_ASSIGN(const ObjectId another, PutPattern(volume, 1, 100));
  EXPECT_CODE(kOutOfMemory, volume.SetLabels(another, {{"a", large}}));
  EXPECT_LE(usage(), kQuota + 8192);
  std::vector<ObjectId> small;
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(const ObjectId one, PutPattern(volume, 1, 8));
    small.push_back(one);
  }
  for (refused = Status::OK(); refused.ok(); ++names) {
    refused = volume.PutName(fmt::format("{}{}", names, long_text), id).status();
  }
  refused = Status::OK();
  for (size_t i = 0; i < small.size() && refused.ok(); ++i) refused = volume.CreateStream(small[i]);
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_LE(usage(), kQuota + 8192);
  ExpectUnharmed();
}

}  // namespace
}  // namespace vineyard::testing
