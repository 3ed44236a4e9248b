// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an instance says of itself: that it is true, whole, and told to nobody who may not hear it.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kMi = uint64_t{1} << 20;

uint64_t SumOf(const MemoryFigures& m) {
  return m.sealed + m.writing + m.idle + m.lingering + m.moving + m.records + m.slack + m.catalog;
}

// What the kernel says that the memory files these processes hold take, each counted once: but for the journal and
// the rings, which are no volume's.
uint64_t KernelBytes(const std::vector<pid_t>& pids) {
  std::set<ino_t> seen;
  uint64_t bytes = 0;
  for (const pid_t pid : pids) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::error_code error;
      const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
      struct stat info{};
      const bool is_memory = target.find("memfd:vineyard-") != std::string::npos &&
                             target.find("-ledger") == std::string::npos &&
                             target.find("-ring") == std::string::npos;
      if (!is_memory || ::stat(entry.path().c_str(), &info) != 0) continue;
      if (seen.insert(info.st_ino).second) bytes += static_cast<uint64_t>(info.st_blocks) * 512;
    }
  }
  return bytes;
}

const RequestFigures* Find(const VolumeFigures& volume, const std::string& kind) {
  for (const RequestFigures& request : volume.requests) {
    if (request.kind == kind) return &request;
  }
  return nullptr;
}

class FiguresTest : public ::testing::Test {
 protected:
  explicit FiguresTest(DaemonOptions options = {.size = "64Mi"})
      : daemon_(std::move(options)), client_(daemon_.Connect()) {}
  [[nodiscard]] VolumeFigures OfVolume() {
    const Result<Figures> figures = client_.GetFigures();
    EXPECT_OK(figures);
    return figures->volumes.at(0);
  }
  Result<ObjectId> Put(uint64_t seed, size_t size, const PutOptions& options = {}) {
    const auto bytes = Pattern(seed, size);
    ObjectBuilder builder("test");
    builder.AddBuffer(bytes);
    return client_.Put(builder, options);
  }
  Client Make(const std::string& name) {
    EXPECT_OK(client_.CreateVolume(name, daemon_.folder() + "/" + name, 0));
    return Client::Connect(daemon_.folder() + "/" + name + "/vineyard.sock").value();
  }
  TestDaemon daemon_;
  Client client_;
};

TEST_F(FiguresTest, EachPageIsInOneStateAndTheKernelAgrees) {
  const VolumeFigures empty = OfVolume();
  EXPECT_EQ(empty.memory.sealed + empty.memory.writing + empty.memory.lingering, 0U);

  ASSERT_OK(Put(1, 8 * kMi));
  ASSERT_OK_AND_ASSIGN(const ObjectId mapped, Put(2, 4 * kMi));
  for (uint64_t seed = 10; seed < 20; ++seed) ASSERT_OK(Put(seed, 10'000));
  ASSERT_OK_AND_ASSIGN(const Object held, client_.Get(mapped));
  ASSERT_OK(client_.Delete({mapped}));
  ASSERT_OK_AND_ASSIGN(MutableBlob unsealed, client_.CreateBlob(6 * kMi));

  const VolumeFigures full = OfVolume();
  EXPECT_EQ(full.memory.sealed, 8 * kMi);
  EXPECT_EQ(full.memory.lingering, 4 * kMi);
  EXPECT_EQ(full.memory.writing, 6 * kMi);
  EXPECT_EQ(full.memory.moving, 0U);
  EXPECT_GE(full.memory.records, 100'000U);
  EXPECT_EQ(SumOf(full.memory), full.held);
  EXPECT_EQ(full.objects, 11U);

  ASSERT_OK_AND_ASSIGN(const Figures figures, client_.GetFigures());
  EXPECT_EQ(figures.limit, 64 * kMi);
  // Pages are made ahead while nobody asks for anything.
  const auto agree = [&] {
    std::this_thread::sleep_for(milliseconds(100));
    const uint64_t kernel = KernelBytes({daemon_.keeper(), daemon_.engine()});
    const Result<Figures> now = client_.GetFigures();
    return now.ok() && kernel == now->held + now->ready;
  };
  EXPECT_TRUE(Eventually(agree));
}

TEST_F(FiguresTest, RequestsAreCountedWithTheirTimesAndWhatWasRefused) {
  ASSERT_OK(Put(1, 100));
  ASSERT_OK(Put(2, 100));
  EXPECT_CODE(kOutOfMemory, Put(3, 100 * kMi));
  EXPECT_CODE(kNotFound, client_.Delete({ObjectId(42)}));
  EXPECT_CODE(kDeadlineExceeded,
              client_.GetName("never", {.timeout = milliseconds(20), .wait = true}));
  const VolumeFigures volume = OfVolume();
  const RequestFigures* put = Find(volume, "Put");
  ASSERT_NE(put, nullptr);
  EXPECT_EQ(put->answered, 2U);
  EXPECT_EQ(put->failed, 0U);
  EXPECT_GT(put->total.count(), 0);
  EXPECT_EQ(std::accumulate(put->buckets.begin(), put->buckets.end(), uint64_t{0}), 2U);
  ASSERT_NE(Find(volume, "Delete"), nullptr);
  EXPECT_EQ(Find(volume, "Delete")->failed, 1U);
  EXPECT_EQ(volume.refused_memory, 1U);
  EXPECT_EQ(volume.late, 1U);
  EXPECT_EQ(Find(volume, "SetLabels"), nullptr) << "nobody asked";
  // 20 ms are in the bucket below 2^15 us, or a later one.
  const auto& waits = Find(volume, "Get")->buckets;
  EXPECT_GE(std::accumulate(waits.begin() + 15, waits.end(), uint64_t{0}), 1U);
}

TEST_F(FiguresTest, ChangesAreCountedAndNothingElseIs) {
  const uint64_t before = OfVolume().changes;
  ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(1, 100));
  const uint64_t after_put = OfVolume().changes;
  EXPECT_GT(after_put, before);
  EXPECT_EQ(OfVolume().changes, after_put);
  ASSERT_OK(client_.PutName("n", id));
  const uint64_t after_name = OfVolume().changes;
  EXPECT_GT(after_name, after_put);
  ASSERT_OK(client_.Delete({id}));
  EXPECT_GT(OfVolume().changes, after_name);
}

TEST_F(FiguresTest, ClientsAreKnownByWhatTheyHold) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(1, 4 * kMi));
  Bell mapped;
  Bell end;
  Child reader([&] {
    Client own = daemon_.Connect();
    const Result<Object> object = own.Get(id);
    auto blob = own.CreateBlob(2 * kMi);
    mapped.Ring();
    return end.Wait() && object.ok() && blob.ok() ? 0 : 1;
  });
  ASSERT_TRUE(mapped.Wait());
  ASSERT_OK_AND_ASSIGN(const std::vector<ClientInfo> clients, client_.ListClients());
  ASSERT_THAT(clients, SizeIs(2));
  const ClientInfo& info =
      clients[0].pid == static_cast<uint64_t>(reader.pid()) ? clients[0] : clients[1];
  EXPECT_EQ(info.pid, static_cast<uint64_t>(reader.pid()));
  EXPECT_EQ(info.uid, ::getuid());
  EXPECT_EQ(info.program, "integration_test");
  EXPECT_EQ(info.volume, "default");
  EXPECT_TRUE(info.connected);
  EXPECT_EQ(info.mapped_bytes, 4 * kMi);
  EXPECT_EQ(info.mapped_blobs, 1U);
  EXPECT_EQ(info.writing_bytes, 2 * kMi);
  EXPECT_GE(info.requests, 2U);

  ASSERT_OK_AND_ASSIGN(const Explanation why, client_.Explain(id));
  ASSERT_THAT(why.places.holders, SizeIs(1));
  EXPECT_EQ(why.places.holders[0].number, info.number);
  EXPECT_EQ(why.places.holders[0].mapped_bytes, 4 * kMi);
  reader.Kill();
  EXPECT_TRUE(Eventually([&] { return client_.ListClients()->size() == 1; }));
  EXPECT_THAT(client_.Explain(id)->places.holders, IsEmpty());
}

TEST_F(FiguresTest, WhatWaitsIsSaidWithWhomAndForWhat) {
  ASSERT_OK(Put(1, 40 * kMi));
  Bell begin;
  Child waits_for_memory([&] {
    Client own = daemon_.Connect();
    begin.Ring();
    return own.CreateBlob(32 * kMi).ok() ? 0 : 1;
  });
  Child waits_for_a_name([&] {
    Client own = daemon_.Connect();
    begin.Ring();
    return own.GetName("late\x1b[31m", {.wait = true}).ok() ? 0 : 1;
  });
  const auto waits = [&] { return client_.ListWaits().value(); };
  ASSERT_TRUE(Eventually([&] { return waits().size() == 2; }));
  for (const WaitInfo& wait : waits()) {
    EXPECT_EQ(wait.volume, "default");
    EXPECT_GT(wait.left.count(), 0);
    if (wait.kind == WaitInfo::Kind::kMemory) {
      EXPECT_EQ(wait.pid, static_cast<uint64_t>(waits_for_memory.pid()));
      EXPECT_EQ(wait.request, "Reserve");
      EXPECT_EQ(wait.bytes, 32 * kMi);
    } else {
      EXPECT_EQ(wait.kind, WaitInfo::Kind::kName);
      EXPECT_EQ(wait.pid, static_cast<uint64_t>(waits_for_a_name.pid()));
      EXPECT_EQ(wait.name, "late\x1b[31m");
    }
  }
  EXPECT_EQ(OfVolume().waiting, 2U);
  waits_for_memory.Kill();
  waits_for_a_name.Kill();
  EXPECT_TRUE(Eventually([&] { return waits().empty(); }));
}

TEST_F(FiguresTest, RequestsAreRememberedWithWhereTheirTimeWent) {
  ASSERT_OK(Put(1, 100));
  EXPECT_CODE(kDeadlineExceeded,
              client_.GetName("never", {.timeout = milliseconds(30), .wait = true}));
  ASSERT_OK_AND_ASSIGN(const TracePage page, client_.GetTrace(0));
  const TracedRequest* put = nullptr;
  const TracedRequest* get = nullptr;
  for (const TracedRequest& request : page.requests) {
    if (request.kind == "Put") put = &request;
    if (request.kind == "Get" && request.code == StatusCode::kDeadlineExceeded) get = &request;
  }
  ASSERT_NE(put, nullptr);
  ASSERT_NE(get, nullptr);
  EXPECT_EQ(put->code, StatusCode::kOk);
  EXPECT_EQ(put->volume, "default");
  EXPECT_EQ(put->pid, static_cast<uint64_t>(::getpid()));
  EXPECT_GT(put->bytes, 100U);
  EXPECT_EQ(put->waited.count(), 0);
  EXPECT_GT(get->waited.count(), 0);
  EXPECT_LE(get->waited, get->took);
  EXPECT_GT(get->request_id, put->request_id) << "counted by the client";
  EXPECT_GE(get->begun_unix_ns, put->begun_unix_ns);
  EXPECT_EQ(client_.GetTrace(page.last)->requests.size(), 1U) << "the first question itself";
  EXPECT_EQ(client_.GetTrace(uint64_t{1} << 60)->requests.size(), 0U);
}

TEST_F(FiguresTest, WhatIsForgottenIsCounted) {
  const uint64_t begin = client_.GetTrace(0)->last;
  for (int i = 0; i < 5000; ++i) ASSERT_OK(client_.GetStatus());
  ASSERT_OK_AND_ASSIGN(const TracePage page, client_.GetTrace(begin));
  EXPECT_GT(page.missed, 800U);
  EXPECT_TRUE(page.more);
  uint64_t seen = page.requests.size();
  for (TracePage next = page; next.more; seen += next.requests.size()) {
    next = client_.GetTrace(next.last).value();
  }
  EXPECT_GE(seen + page.missed, 5000U);
}

TEST_F(FiguresTest, WhatFailedIsRememberedWhenAllElseIsForgotten) {
  EXPECT_CODE(kNotFound, client_.GetName("never"));
  for (int i = 0; i < 5000; ++i) ASSERT_OK(client_.GetStatus());
  ASSERT_OK_AND_ASSIGN(const TracePage page, client_.GetTrace(0));
  const auto failed = std::ranges::find(page.requests, StatusCode::kNotFound, &TracedRequest::code);
  ASSERT_NE(failed, page.requests.end());
  EXPECT_GT(page.missed, 800U);
  EXPECT_EQ(client_.GetTrace(failed->sequence)->requests.front().code, StatusCode::kOk);
}

TEST_F(FiguresTest, AnotherVolumeIsForWhoManagesTheInstanceOnly) {
  Client a = Make("a");
  ASSERT_OK(PutPattern(a, 1, 2 * kMi, "secret"));
  for (const bool all : {false, true}) {
    const Result<Figures> figures = client_.GetFigures(all);
    ASSERT_OK(figures);
    EXPECT_THAT(figures->volumes, SizeIs(all ? 2 : 1));
    EXPECT_THAT(client_.ListClients(all).value(), SizeIs(all ? 2 : 1));
  }
  EXPECT_EQ(a.GetFigures()->volumes.at(0).name, "a");
  EXPECT_THAT(a.ListClients().value(), SizeIs(1));
  for (const TracedRequest& request : a.GetTrace(0)->requests) EXPECT_EQ(request.volume, "a");
  EXPECT_CODE(kPermissionDenied, a.GetFigures(true));
  EXPECT_CODE(kPermissionDenied, a.ListClients(true));
  EXPECT_CODE(kPermissionDenied, a.ListWaits(true));
  EXPECT_CODE(kPermissionDenied, a.GetTrace(0, true));
  EXPECT_TRUE(Eventually([&] {
    return daemon_.log().find("access was refused") != std::string::npos;
  })) << daemon_.log();
  EXPECT_THAT(daemon_.log(), HasSubstr("volume=a"));
  EXPECT_GE(a.GetFigures()->volumes.at(0).refused_access, 4U);
  ASSERT_OK_AND_ASSIGN(const Object object, a.Get("secret"));
  EXPECT_CODE(kNotFound, client_.Explain(object.id()));
  ASSERT_OK(client_.RemoveVolume("a"));
  EXPECT_THAT(client_.GetFigures(true)->volumes, SizeIs(1));
}

TEST_F(FiguresTest, AnotherEngineKnowsTheClientsAgainAndCountsAnew) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(1, 4 * kMi));
  ASSERT_OK_AND_ASSIGN(const Object object, client_.Get(id));
  daemon_.KillEngine();
  ASSERT_OK(client_.GetStatus());
  const std::vector<ClientInfo> clients = client_.ListClients().value();
  ASSERT_THAT(clients, SizeIs(1));
  EXPECT_EQ(clients[0].program, "integration_test");
  EXPECT_EQ(clients[0].mapped_bytes, 4 * kMi);
  EXPECT_EQ(OfVolume().memory.sealed, 4 * kMi);
  EXPECT_EQ(Find(OfVolume(), "Put"), nullptr);
}

class SpillingFigures : public FiguresTest {
 protected:
  SpillingFigures() : FiguresTest({.size = "64Mi", .flags = {"--spill_path", Disk().path()}}) {}
  static const TempFolder& Disk() {
    static const TempFolder folder;
    return folder;
  }
};

TEST_F(SpillingFigures, WhyTellsWhereAThingIsWhatKeepsItAndWhatToDo) {
  ASSERT_OK_AND_ASSIGN(const ObjectId part, Put(1, 4 * kMi));
  ASSERT_OK_AND_ASSIGN(const ObjectId whole,
                       client_.Put(ObjectBuilder("whole").AddMember("part", part), {.name = "n"}));

  ASSERT_OK_AND_ASSIGN(const Explanation loose, client_.Explain(part));
  EXPECT_TRUE(loose.evictable);
  ASSERT_THAT(loose.referrers, SizeIs(1));
  EXPECT_EQ(loose.referrers[0].id, whole);
  EXPECT_THAT(loose.names, IsEmpty());
  EXPECT_THAT(loose.advice, Contains(HasSubstr("--force")));

  ASSERT_OK(client_.Load(std::vector{part}, {.pin = true}));
  ASSERT_OK_AND_ASSIGN(const Explanation pinned, client_.Explain(whole));
  EXPECT_FALSE(pinned.evictable);
  EXPECT_THAT(pinned.reasons, Contains(HasSubstr("integration_test (pid")));
  EXPECT_THAT(pinned.reasons, Contains(HasSubstr("has pinned it")));
  EXPECT_THAT(pinned.reasons, Contains("the name 'n' points to it"));
  ASSERT_OK(client_.Unpin(std::vector{part}));

  ASSERT_OK(client_.PutName("n", whole, {.keep = true}));
  EXPECT_THAT(client_.Explain(whole)->reasons, Contains("the name 'n' keeps it in memory"));
  EXPECT_THAT(client_.Explain(part)->reasons, Contains(HasSubstr("a part of keeps it")));
  ASSERT_OK(client_.PutName("n", whole));

  ASSERT_OK(client_.Evict(std::vector{part}));
  ASSERT_OK_AND_ASSIGN(const Explanation away, client_.Explain(part));
  EXPECT_EQ(away.places.spilled_bytes, 4 * kMi);
  EXPECT_FALSE(away.evictable);
  EXPECT_THAT(away.reasons, Contains(HasSubstr("on the disk only")));
  const VolumeFigures volume = OfVolume();
  EXPECT_EQ(volume.spilled, 4 * kMi);
  EXPECT_EQ(volume.memory.sealed, 0U);
  EXPECT_EQ(SumOf(volume.memory), volume.held);

  ASSERT_OK_AND_ASSIGN(const Object mapped, client_.Get(part));
  EXPECT_THAT(client_.Explain(part)->reasons, Contains(HasSubstr("4 MiB of it mapped")));
  EXPECT_CODE(kNotFound, client_.Explain(ObjectId(42)));
}

TEST_F(SpillingFigures, WhatIsSmallIsSaidToStay) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, Put(1, 100));
  ASSERT_OK_AND_ASSIGN(const Explanation why, client_.Explain(id));
  EXPECT_FALSE(why.evictable);
  EXPECT_THAT(why.reasons, Contains(HasSubstr("it is small")));
  EXPECT_THAT(why.reasons, Contains(HasSubstr("nothing refers to it")));
}

}  // namespace
}  // namespace vineyard::testing
