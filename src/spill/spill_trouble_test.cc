// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Disks that are full or broken. Each call that can fail is made to, at each place where it is made: the
// one who asked is told, nothing is left half done, and what was there is there.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "os/disk_fault.h"
#include "spill/test_place.h"

namespace vineyard::spill {
namespace {

using os::DiskCall;

const char* NameOf(DiskCall call) {
  switch (call) {
    case DiskCall::kCreate: return "Create";
    case DiskCall::kOpen: return "Open";
    case DiskCall::kReserve: return "Reserve";
    case DiskCall::kWrite: return "Write";
    case DiskCall::kRead: return "Read";
    case DiskCall::kSync: return "Sync";
    case DiskCall::kRename: return "Rename";
    case DiskCall::kRemove: return "Remove";
    case DiskCall::kList: return "List";
    case DiskCall::kGarble: return "Garble";
    case DiskCall::kDirect: return "Direct";
  }
  return "?";
}

StatusCode CodeOf(int error) {
  return error == ENOSPC || error == EDQUOT ? StatusCode::kOutOfMemory : StatusCode::kIOError;
}

class SpillTrouble
    : public PlaceTest,
      public ::testing::WithParamInterface<std::tuple<uint8_t, int, os::FaultLasts>> {
 protected:
  [[nodiscard]] DiskCall call() const { return static_cast<DiskCall>(std::get<0>(GetParam())); }
  [[nodiscard]] int error() const { return std::get<1>(GetParam()); }
  void Break(int64_t n = 1) { os::SetDiskFault(call(), error(), n, std::get<2>(GetParam())); }
  void TearDown() override {
    os::ClearDiskFault();
    PlaceTest::TearDown();
  }
  /// Calls `act` with the first call failing, then with the second, … until none fails any more; `after`
  /// with what it said, when the disk is well again.
  template <typename Act, typename After>
  void AtEveryPlace(Act act, After after) {
    bool failed = true;
    for (int n = 1; failed && n < 200; ++n) {
      Break(n);
      const Status status = act();
      failed = os::ClearDiskFault();
      if (!status.ok()) {
        EXPECT_EQ(status.code(), CodeOf(error())) << status.ToString();
      }
      EXPECT_TRUE(failed || status.ok()) << status.ToString();
      after(status);
      ASSERT_FALSE(HasFailure()) << NameOf(call()) << " " << n;
    }
    EXPECT_FALSE(failed) << "no end";
  }
  template <typename Act>
  void AtEveryPlace(Act act) {
    AtEveryPlace(std::move(act), [](const Status&) {});
  }
};

TEST_P(SpillTrouble, AWriteThatFailsLeavesNothing) {
  Enter();
  const Bytes kept = RandomBytes(5000, 1);
  ASSERT_OK(WriteNow(1, kept));
  const Bytes bytes = RandomBytes(5 * kBlock + 1, 2);
  AtEveryPlace([&] { return WriteNow(2, bytes, Durability::kDisk); },
               [&](const Status& status) {
                 EXPECT_EQ(place().Contains(KeyOf(2)), status.ok());
                 EXPECT_EQ(place().figures().making_bytes, 0U);
                 EXPECT_EQ(place().figures().promised_bytes, 0U);
                 EXPECT_EQ(Names().size(), status.ok() ? 4U : 3U);
               });
  EXPECT_TRUE(ReadNow(2, 0, bytes.size()).value() == bytes);
  EXPECT_EQ(ReadNow(1, 0, kept.size()).value(), kept);
  Enter();
  EXPECT_EQ(place().figures().files, 2U);
}

TEST_P(SpillTrouble, AReplacementThatFailsLeavesTheOldOrTheNew) {
  Enter();
  const Bytes old = RandomBytes(5000, 1);
  const Bytes fresh = RandomBytes(kBlock + 5000, 2);
  ASSERT_OK(WriteNow(1, old, Durability::kDisk));
  AtEveryPlace(
      [&] {
        return WriteNow({.key = KeyOf(1),
                         .source = SourceOf(fresh),
                         .durability = Durability::kDisk,
                         .if_there = IfThere::kReplace});
      },
      [&](const Status& status) {
        ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(1)));
        const uint64_t size = opened->head().size;
        EXPECT_EQ(place().figures().files, 1U);
        EXPECT_EQ(place().figures().bytes, FileLength(0, size));
        EXPECT_TRUE(size == fresh.size() || (size == old.size() && !status.ok()));
        EXPECT_TRUE(ReadNow(1, 0, size).value() == (size == old.size() ? old : fresh));
      });
}

TEST_P(SpillTrouble, AReadThatFailsIsAnErrorAndDamagesNothing) {
  Enter();
  const Bytes bytes = RandomBytes(5 * kBlock + 1, 2);
  ASSERT_OK(WriteNow(1, bytes));
  AtEveryPlace([&] {
    auto back = ReadNow(1, 0, bytes.size());
    if (back.ok()) {
      EXPECT_TRUE(*back == bytes);
    }
    return back.status();
  });
  EXPECT_EQ(place().figures().damaged_files, 0U);
  EXPECT_TRUE(ReadNow(1, 0, bytes.size()).value() == bytes);
}

TEST_P(SpillTrouble, AScanGoesOnPastWhatItCannotRead) {
  Enter();
  const Bytes bytes = RandomBytes(5000, 2);
  for (uint64_t id = 1; id <= 5; ++id) ASSERT_OK(WriteNow(id, bytes));
  Enter();
  AtEveryPlace([&] {
    const Scanned scanned = ScanNow();
    EXPECT_OK(scanned.report);
    EXPECT_EQ(scanned.report->found + scanned.report->unreadable.size(), 5U);
    EXPECT_EQ(scanned.report->found, scanned.found.size());
    return scanned.report->unreadable.empty() ? Status() : os::ErrnoStatus("x", error());
  });
  EXPECT_EQ(place().figures().files, 5U);
}

TEST_P(SpillTrouble, AFolderThatCannotBeTakenCanBeLater) {
  AtEveryPlace([&] {
    Leave();
    fs::remove_all(folder());
    auto taken = Place::Take(Options());
    if (taken.ok()) place_ = *taken;
    return taken.status();
  });
  place_.reset();
  Enter();
  const Bytes bytes = RandomBytes(5000, 2);
  ASSERT_OK(WriteNow(1, bytes));
  WriteAll(folder() + "/" + PartName(KeyOf(2)), "x");
  AtEveryPlace([&] {
    Leave();
    auto taken = Place::Take(Options());
    if (taken.ok()) place_ = *taken;
    return taken.status();
  });
  Enter();
  EXPECT_EQ(ReadNow(1, 0, bytes.size()).value(), bytes);
}

TEST_P(SpillTrouble, ARemovalThatFailsCanBeRepeated) {
  Enter();
  const Bytes bytes = RandomBytes(5000, 2);
  ASSERT_OK(WriteNow(1, bytes));
  Break();
  const Status first = place().Remove(KeyOf(1), Durability::kDisk);
  os::ClearDiskFault();
  const Status again = place().Remove(KeyOf(1), Durability::kDisk);
  EXPECT_EQ(first.ok() || call() == DiskCall::kSync, again.Is(StatusCode::kNotFound));
  EXPECT_FALSE(fs::exists(PathOf(KeyOf(1))));
  EXPECT_EQ(place().figures().bytes, 0U);
}

TEST_P(SpillTrouble, ADamagedFileIsNotServedWhateverFails) {
  Enter();
  ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
  std::string bad = ReadAll(PathOf(KeyOf(1)));
  bad[5000] ^= 1;
  WriteAll(PathOf(KeyOf(1)), bad);
  Break();
  EXPECT_FALSE(ReadNow(1, 0, 5000).ok());
  os::ClearDiskFault();
  EXPECT_FALSE(ReadNow(1, 0, 5000).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Everywhere, SpillTrouble,
    ::testing::Combine(::testing::Range(uint8_t{0}, os::kFailingDiskCalls),
                       ::testing::Values(EIO, ENOSPC),
                       ::testing::Values(os::FaultLasts::kOnce, os::FaultLasts::kFromThenOn)),
    [](const auto& test) {
      return std::string(NameOf(static_cast<DiskCall>(std::get<0>(test.param)))) +
             (std::get<1>(test.param) == EIO ? "_EIO" : "_ENOSPC") +
             (std::get<2>(test.param) == os::FaultLasts::kOnce ? "_Once" : "_FromThenOn");
    });

constexpr int kCannotMount = 77;

// In a child, which has the mount to itself: the disk is full when it is.
int FillASmallDisk(const std::string& folder) {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return kCannotMount;
  if (user != 0) {
    // Who has no number in the new namespace can make nothing there.
    const auto same = [](uint32_t id) {
      return std::to_string(id) + " " + std::to_string(id) + " 1";
    };
    WriteAll("/proc/self/setgroups", "deny");
    WriteAll("/proc/self/uid_map", same(user));
    WriteAll("/proc/self/gid_map", same(group));
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=8m") != 0) {
    return kCannotMount;
  }
  auto place = Place::Take({.path = folder, .instance = "one"});
  auto crew = Crew::Start({.threads = 2});
  if (!place.ok() || !crew.ok()) return 2;
  const Bytes bytes = RandomBytes(3 * kBlock - 4096, 1);
  const auto write = [&](uint64_t id) {
    return WaitFor<Status>([&](auto done) {
      Write(*place, **crew, {.key = KeyOf(id), .source = SourceOf(bytes)}, std::move(done));
    });
  };
  if (!write(1).ok() || !write(2).ok()) return 3;
  const Status full = write(3);
  if (!full.Is(StatusCode::kOutOfMemory)) return 4;
  if (full.message().find("disk full") == std::string::npos) return 5;
  if ((*place)->figures().making_bytes != 0 || (*place)->figures().files != 2) return 6;
  if (!(*place)->Remove(KeyOf(1), Durability::kInstance).ok()) return 7;
  if (!write(3).ok()) return 8;
  for (const uint64_t id : {2U, 3U}) {
    const Status whole =
        WaitFor<Status>([&](auto done) { Check(*place, **crew, KeyOf(id), std::move(done)); });
    if (!whole.ok()) return 9;
  }
  return 0;
}

TEST_F(PlaceTest, AFullDiskRefusesAndGoesOnWhenThereIsRoomAgain) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(FillASmallDisk(outside_));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotMount) GTEST_SKIP() << "may not mount a small disk here";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "see FillASmallDisk";
}

}  // namespace
}  // namespace vineyard::spill
