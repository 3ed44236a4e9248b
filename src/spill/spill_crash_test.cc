// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine is killed while it spills: what was acknowledged is there and whole, what was not is there
// and whole or not at all, and nothing else is left.
#include <csignal>
#include <regex>
#include <set>
#include <sstream>

#include "os/crash_point.h"
#include "spill/test_place.h"

namespace vineyard::spill {
namespace {

constexpr uint64_t kSize = 3 * kBlock + 100;
// Kept from the beginning, replaced, damaged, removed and new.
enum : uint64_t { kKept = 1, kReplaced = 2, kDamaged = 3, kRemoved = 4, kNew = 5 };

struct Point {
  const char* name;
  int times;
};
void PrintTo(const Point& point, std::ostream* out) { *out << point.name << ":" << point.times; }

// Every name in this folder's source; EveryPlaceOfThisFolderIsTried compares.
constexpr Point kPoints[] = {{"spill.identity_written", 1},
                             {"spill.identity_named", 1},
                             {"spill.made", 1},
                             {"spill.made", 2},
                             {"spill.block_written", 1},
                             {"spill.block_written", 3},
                             {"spill.block_written", 6},
                             {"spill.blocks_written", 1},
                             {"spill.blocks_written", 2},
                             {"spill.head_written", 1},
                             {"spill.head_written", 2},
                             {"spill.synced", 1},
                             {"spill.synced", 2},
                             {"spill.synced_again", 1},
                             {"spill.named", 1},
                             {"spill.named", 2},
                             {"spill.kept", 1},
                             {"spill.kept", 2},
                             {"spill.removed", 1},
                             {"spill.set_aside", 1}};

class SpillCrash : public PlaceTest, public ::testing::WithParamInterface<Point> {
 protected:
  // In a child that ends at the point. Returns how many of the steps it acknowledged before.
  template <typename Act>
  int DieIn(Act act) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const Point point = GetParam();
      const std::string at = std::string(point.name) + ":" + std::to_string(point.times);
      ::setenv("VINEYARD_CRASH_AT", at.c_str(), 1);
      os::LoadCrashPoint(1);
      act([&] { return ::write(ends[1], "x", 1) == 1; });
      ::_exit(0);
    }
    ::close(ends[1]);
    int acknowledged = 0;
    char byte = 0;
    while (::read(ends[0], &byte, 1) == 1) ++acknowledged;
    ::close(ends[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    died_ = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    EXPECT_TRUE(died_ || WEXITSTATUS(status) == 0);
    return acknowledged;
  }

  const Bytes old_ = RandomBytes(kSize, 1);
  const Bytes new_ = RandomBytes(kSize + 5000, 2);
  bool died_ = false;
};

TEST_P(SpillCrash, LeavesWholeFilesAndNothingElse) {
  const bool first_start = std::string_view(GetParam().name).starts_with("spill.identity");
  if (!first_start) {
    Enter();
    for (const uint64_t id : {kKept, kReplaced, kDamaged, kRemoved}) {
      ASSERT_OK(WriteNow(id, old_, Durability::kDisk));
    }
    std::string bad = ReadAll(PathOf(KeyOf(kDamaged)));
    bad[kBlock] ^= 1;
    WriteAll(PathOf(KeyOf(kDamaged)), bad);
    Leave();
  }
  const int acknowledged = DieIn([&](auto acknowledge) {
    Enter();
    const bool ok =
        place_ != nullptr && WriteNow(kNew, new_, Durability::kDisk).ok() && acknowledge() &&
        (first_start || (WriteNow({.key = KeyOf(kReplaced),
                                   .source = SourceOf(new_),
                                   .durability = Durability::kDisk,
                                   .if_there = IfThere::kReplace})
                             .ok() &&
                         acknowledge() && place_->Sync(KeyOf(kKept)).ok() &&
                         place_->Remove(KeyOf(kRemoved), Durability::kDisk).ok() && acknowledge() &&
                         CheckNow(kDamaged).Is(StatusCode::kCorrupted) && acknowledge()));
    if (!ok) ::_exit(9);
  });
  ASSERT_TRUE(died_) << "it did not die there";

  Enter();
  EXPECT_EQ(place().survey().foreign_count, 0U);
  const Scanned scanned = ScanNow();
  ASSERT_OK(scanned.report);
  EXPECT_EQ(scanned.report->found, place().figures().files);
  EXPECT_TRUE(scanned.report->unreadable.empty());
  const auto holds = [&](uint64_t id, const Bytes& bytes) {
    const auto back = ReadNow(id, 0, bytes.size());
    return back.ok() && *back == bytes;
  };
  if (place().Contains(KeyOf(kNew)) || acknowledged >= 1) {
    EXPECT_TRUE(holds(kNew, new_));
  }
  if (first_start) return;
  EXPECT_TRUE(holds(kKept, old_));
  EXPECT_TRUE(acknowledged >= 2 ? holds(kReplaced, new_)
                                : holds(kReplaced, new_) || holds(kReplaced, old_));
  const bool removed = !place().Contains(KeyOf(kRemoved));
  EXPECT_TRUE(removed || (acknowledged < 3 && holds(kRemoved, old_)));
  EXPECT_FALSE(CheckNow(kDamaged).ok());
  EXPECT_FALSE(place().Contains(KeyOf(kDamaged)));
  // Nothing but these files, `damaged`, `identity` and `lock`.
  EXPECT_EQ(Names().size(), place().figures().files + 3);
  EXPECT_EQ(Names("/damaged").size(), 1U);
  EXPECT_OK(WriteNow(99, old_));
}

INSTANTIATE_TEST_SUITE_P(Points, SpillCrash, ::testing::ValuesIn(kPoints), [](const auto& test) {
  std::string name = test.param.name;
  std::ranges::replace(name, '.', '_');
  return name + "_" + std::to_string(test.param.times);
});

TEST(SpillCrashPoints, EveryPlaceOfThisFolderIsTried) {
  std::set<std::string> in_source;
  const std::regex call(R"re(CrashPoint\("([a-z_.]+)"\))re");
  for (const auto& entry : fs::directory_iterator(VINEYARD_SOURCE_DIR "/src/spill")) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cc") || path.ends_with("_test.cc")) continue;
    const std::string source = ReadAll(path);
    for (std::sregex_iterator it(source.begin(), source.end(), call), end; it != end; ++it) {
      in_source.insert((*it)[1]);
    }
  }
  std::set<std::string> tried;
  for (const Point& point : kPoints) tried.insert(point.name);
  EXPECT_EQ(in_source, tried);
}

}  // namespace
}  // namespace vineyard::spill
