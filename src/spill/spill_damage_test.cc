// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Files that changed on the disk: whatever is changed is found, set aside and never served.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/disk_fault.h"
#include "spill/test_place.h"

namespace vineyard::spill {
namespace {

constexpr uint64_t kSize = 2000;

class SpillDamageTest : public PlaceTest {
 protected:
  void SetUp() override {
    PlaceTest::SetUp();
    Enter();
    ASSERT_OK(WriteNow(
        {.key = KeyOf(1), .source = SourceOf(bytes_), .description = RandomBytes(100, 2)}));
    Leave();
    whole_ = ReadAll(PathOf(KeyOf(1)));
    ASSERT_EQ(whole_.size(), FileLength(100, kSize));
  }

  // A new instance finds the file as `change` left it, given its descriptor. What it says of it.
  template <typename Change>
  Status After(Change change) {
    const std::string path = PathOf(KeyOf(1));
    {
      const os::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
      change(file.get());
    }
    auto taken = Place::Take(Options());
    if (!taken.ok()) return taken.status();
    place_ = *taken;
    Status status = ReadAllOfIt();
    EXPECT_EQ(place_->Contains(KeyOf(1)), status.ok());
    place_.reset();
    const std::string damaged = folder() + "/damaged/" + FileName(KeyOf(1));
    if (fs::exists(damaged)) fs::rename(damaged, path);
    return status;
  }
  // As it was, but for `bytes` at `at`.
  Status With(size_t at, std::string_view bytes) {
    const auto put = [&](int file, std::string_view what) {
      EXPECT_EQ(::pwrite(file, what.data(), what.size(), static_cast<off_t>(at)),
                static_cast<ssize_t>(what.size()));
    };
    Status status = After([&](int file) { put(file, bytes); });
    const os::UniqueFd file(::open(PathOf(KeyOf(1)).c_str(), O_RDWR | O_CLOEXEC));
    put(file.get(), std::string_view(whole_).substr(at, bytes.size()));
    return status;
  }
  Status WithLength(size_t length) {
    return After([&](int file) { EXPECT_EQ(::ftruncate(file, static_cast<off_t>(length)), 0); });
  }

  Status ReadAllOfIt() {
    auto opened = OpenedFile::Open(place_, KeyOf(1));
    VY_RETURN_IF_ERROR(opened.status());
    Bytes back(kSize);
    Status read = (*opened)->Read(0, back, scratch_.bytes());
    if (read.ok() && back != bytes_) return Status::Internal("other bytes were served");
    return read;
  }

  const Bytes bytes_ = RandomBytes(kSize, 1);
  const os::DiskBuffer scratch_ = os::DiskBuffer::Make(kBlock).value();
  std::string whole_;
};

TEST_F(SpillDamageTest, AnyByteThatChangesIsFound) {
  for (size_t at = 0; at < whole_.size(); ++at) {
    const char other = static_cast<char>(whole_[at] ^ (1 << at % 8));
    const Status status = With(at, {&other, 1});
    // A number of another version is no damage, for all we know.
    const bool version = at >= 0x08 && at < 0x0c;
    EXPECT_EQ(status.code(), version ? StatusCode::kNotSupported : StatusCode::kCorrupted)
        << at << ": " << status.ToString();
  }
  EXPECT_OK(With(0, {})) << "as it was";
}

TEST_F(SpillDamageTest, AnyLengthButItsOwnIsFound) {
  EXPECT_OK(WithLength(whole_.size()));
  for (const size_t more : {1U, 512U, 4096U, 1U << 20}) {
    EXPECT_CODE(kCorrupted, WithLength(whole_.size() + more));
  }
  for (size_t length = whole_.size(); length-- > 0;) {
    EXPECT_CODE(kCorrupted, WithLength(length)) << length;
  }
}

TEST_F(SpillDamageTest, AScanSetsAsideWhatHasNoWholeHeadAndGoesOn) {
  Enter();
  for (uint64_t id = 2; id <= 50; ++id) ASSERT_OK(WriteNow(id, bytes_));
  Leave();
  for (uint64_t id = 2; id <= 50; id += 2) {
    std::string bad = ReadAll(PathOf(KeyOf(id)));
    bad[id] ^= 1;
    if (id % 4 == 0) bad.resize(id * 100);
    WriteAll(PathOf(KeyOf(id)), bad);
  }
  Enter();
  const Scanned scanned = ScanNow();
  ASSERT_OK(scanned.report);
  EXPECT_EQ(scanned.report->found, 25U);
  EXPECT_EQ(scanned.report->set_aside + scanned.report->disowned, 25U);
  EXPECT_EQ(scanned.found.size(), 25U);
  EXPECT_EQ(place().figures().files, 25U);
  EXPECT_EQ(Names("/damaged").size(), scanned.report->set_aside);
  for (const Found& found : scanned.found) EXPECT_OK(CheckNow(found.key.id));
}

TEST_F(SpillDamageTest, CheckingFindsWhatTheHeadDoesNotTell) {
  Enter();
  const Bytes large = RandomBytes(5 * kBlock + 1, 3);
  ASSERT_OK(WriteNow(2, large));
  std::string bad = ReadAll(PathOf(KeyOf(2)));
  const uint64_t data = HeadLength(0, large.size());
  bad[data + 3 * kBlock + 77] ^= 0x10;
  WriteAll(PathOf(KeyOf(2)), bad);
  // A part that lies elsewhere is still good.
  EXPECT_TRUE(ReadNow(2, 0, 3 * kBlock).ok());
  const Status status = CheckNow(2);
  EXPECT_CODE(kCorrupted, status);
  EXPECT_NE(status.message().find("block 4 of 6"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(FileName(KeyOf(2))), std::string::npos);
  EXPECT_EQ(Names("/damaged"), std::vector<std::string>{FileName(KeyOf(2))});
  EXPECT_CODE(kNotFound, ReadNow(2, 0, 1));
}

TEST_F(SpillDamageTest, BlocksThatChangedPlacesAreFound) {
  Enter();
  Bytes large(3 * kBlock, std::byte{'x'});  // blocks of the same contents
  ASSERT_OK(WriteNow(2, large));
  large[kBlock] = std::byte{'y'};
  ASSERT_OK(WriteNow(3, large));
  std::string bad = ReadAll(PathOf(KeyOf(3)));
  const uint64_t data = HeadLength(0, large.size());
  for (uint64_t i = 0; i < kBlock; ++i) std::swap(bad[data + i], bad[data + kBlock + i]);
  WriteAll(PathOf(KeyOf(3)), bad);
  EXPECT_CODE(kCorrupted, CheckNow(3));
  // A block that an earlier file of the same key had at the same place.
  const std::string first = ReadAll(PathOf(KeyOf(2)));
  large[0] = std::byte{'z'};
  ASSERT_OK(WriteNow({.key = KeyOf(2), .source = SourceOf(large), .if_there = IfThere::kReplace}));
  std::string second = ReadAll(PathOf(KeyOf(2)));
  second.replace(data, kBlock, first.substr(data, kBlock));
  WriteAll(PathOf(KeyOf(2)), second);
  EXPECT_CODE(kCorrupted, CheckNow(2));
}

TEST_F(SpillDamageTest, DamageOnTheWayIsReadOnceMore) {
  Enter();
  os::SetDiskFault(os::DiskCall::kGarble, 1, 2, os::FaultLasts::kOnce);  // behind the head
  EXPECT_EQ(ReadNow(1, 0, kSize).value(), bytes_);
  EXPECT_TRUE(os::ClearDiskFault());
  os::SetDiskFault(os::DiskCall::kGarble, 1, 2);
  EXPECT_CODE(kCorrupted, ReadNow(1, 0, kSize));
  EXPECT_TRUE(os::ClearDiskFault());
  EXPECT_FALSE(place().Contains(KeyOf(1)));
}

TEST_F(SpillDamageTest, DamageOfAFileThatWasReplacedLeavesTheNewOne) {
  Enter();
  fs::create_hard_link(PathOf(KeyOf(1)), outside_ + "/old");
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(1)));
  const Bytes other = RandomBytes(3000, 5);
  ASSERT_OK(WriteNow({.key = KeyOf(1), .source = SourceOf(other), .if_there = IfThere::kReplace}));
  std::string bad = ReadAll(outside_ + "/old");
  bad[5000] ^= 1;
  WriteAll(outside_ + "/old", bad);
  Bytes back(kSize);
  EXPECT_CODE(kCorrupted, opened->Read(0, back, scratch_.bytes()));
  EXPECT_EQ(ReadNow(1, 0, other.size()).value(), other);
  EXPECT_EQ(place().figures().damaged_files, 0U);
}

TEST_F(SpillDamageTest, AFileThatShrinksWhileItIsOpenIsAnErrorAndNoCrash) {
  Enter();
  const Bytes large = RandomBytes(3 * kBlock, 3);
  ASSERT_OK(WriteNow(2, large));
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(2)));
  ASSERT_EQ(::truncate(PathOf(KeyOf(2)).c_str(), kBlock + 5), 0);
  Bytes back(large.size());
  const Status status = opened->Read(0, back, scratch_.bytes());
  EXPECT_CODE(kCorrupted, status);
  EXPECT_NE(status.message().find("short"), std::string::npos) << status.message();
}

TEST_F(SpillDamageTest, AHeadThatAsksForMoreMemoryThanItsFileHasGetsNone) {
  const uint32_t description = kMostDescription;
  const uint64_t size = kMostData;
  EXPECT_CODE(kCorrupted, With(0x44, {reinterpret_cast<const char*>(&description), 4}));
  EXPECT_CODE(kCorrupted, With(0x30, {reinterpret_cast<const char*>(&size), 8}));
}

}  // namespace
}  // namespace vineyard::spill
