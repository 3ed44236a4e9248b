// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/place.h"

#include <sys/stat.h>

#include <csignal>

#include "spill/test_place.h"

namespace vineyard::spill {
namespace {

using ::testing::Test;

TEST_F(PlaceTest, IsMadeForItsOwnerOnlyAndKnownAgain) {
  Enter();
  const Uuid uuid = place().uuid();
  struct stat info{};
  ASSERT_EQ(::stat(folder().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  EXPECT_EQ(Names(), (std::vector<std::string>{"identity", "lock"}));
  Enter();
  EXPECT_EQ(place().uuid(), uuid);
}

TEST_F(PlaceTest, IsRefusedToASecondInstance) {
  Enter();
  const auto second = Place::Take(Options());
  EXPECT_CODE(kAlreadyExists, second);
  EXPECT_NE(second.status().message().find("another instance spills"), std::string::npos);
  PlaceOptions other = Options();
  other.instance = "two";
  EXPECT_OK(Place::Take(other));
  Leave();
  EXPECT_OK(Place::Take(Options()));
}

TEST_F(PlaceTest, IsFreeWhenItsHolderWasKilled) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (Place::Take(Options()).ok()) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_OK(Place::Take(Options()));
}

TEST_F(PlaceTest, AFolderWithSomethingElseInItIsRefusedAndNotTouched) {
  fs::create_directory(folder());
  WriteAll(folder() + "/thesis.txt", "years of work");
  const auto taken = Place::Take(Options());
  EXPECT_CODE(kFailedPrecondition, taken);
  EXPECT_NE(taken.status().message().find("thesis.txt"), std::string::npos);
  EXPECT_EQ(Names(), std::vector<std::string>{"thesis.txt"});
}

TEST_F(PlaceTest, ALinkInItsPlaceIsRefused) {
  fs::create_directory(outside_ + "/elsewhere");
  fs::create_directory_symlink(outside_ + "/elsewhere", folder());
  EXPECT_CODE(kInvalid, Place::Take(Options()));
  EXPECT_TRUE(fs::is_empty(outside_ + "/elsewhere"));
}

TEST_F(PlaceTest, AFileInItsPlaceIsRefused) {
  WriteAll(folder(), "x");
  EXPECT_CODE(kInvalid, Place::Take(Options()));
  PlaceOptions below{.path = folder() + "/deeper", .instance = "one"};
  EXPECT_FALSE(Place::Take(below).ok());
  EXPECT_EQ(ReadAll(folder()), "x");
}

TEST_F(PlaceTest, NamesThatLeadOutAreRefused) {
  for (const char* name : {"", ".", "..", "../one", "a/b", "/tmp"}) {
    PlaceOptions options = Options();
    options.instance = name;
    EXPECT_CODE(kInvalid, Place::Take(options)) << name;
  }
}

TEST_F(PlaceTest, LinksInPlaceOfItsOwnFilesAreNotFollowed) {
  for (const char* name : {"lock", "identity", "identity.part"}) {
    Enter();
    Leave();
    fs::remove(folder() + "/" + name);
    if (std::string(name) == "identity.part") fs::remove(folder() + "/identity");
    fs::create_symlink(outside_ + "/victim", folder() + "/" + name);
    const auto taken = Place::Take(Options());
    EXPECT_EQ(taken.ok(), std::string(name) == "identity.part") << name;
    EXPECT_FALSE(fs::exists(outside_ + "/victim")) << name;
    fs::remove_all(folder());
  }
}

TEST_F(PlaceTest, ADamagedIdentityRefusesTheFolderAndLeavesWhatIsInIt) {
  Enter();
  ASSERT_OK(WriteNow(1, RandomBytes(100, 1)));
  Leave();
  const std::string path = folder() + "/identity";
  const std::string good = ReadAll(path);
  for (const std::string& bad : {std::string(), good.substr(1), good + "x", "x" + good.substr(1)}) {
    WriteAll(path, bad);
    EXPECT_CODE(kCorrupted, Place::Take(Options()));
  }
  WriteAll(path, good);
  Enter();
  EXPECT_EQ(ReadNow(1, 0, 100).value(), RandomBytes(100, 1));
}

TEST_F(PlaceTest, WhatOthersCouldReadIsClosed) {
  Enter();
  Leave();
  fs::permissions(folder(), fs::perms::all);
  Enter();
  EXPECT_EQ(fs::status(folder()).permissions(), fs::perms::owner_all);
}

TEST_F(PlaceTest, AFolderOfSomebodyElseIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  Enter();
  Leave();
  ASSERT_EQ(::chown(folder().c_str(), 12345, 12345), 0);
  const auto taken = Place::Take(Options());
  EXPECT_CODE(kPermissionDenied, taken);
  EXPECT_NE(taken.status().message().find("user 12345"), std::string::npos);
}

TEST_F(PlaceTest, WhatIsNotOursIsReportedAndLeftAlone) {
  Enter();
  ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
  Leave();
  WriteAll(folder() + "/notes.txt", "x");
  WriteAll(outside_ + "/victim", "v");
  fs::create_symlink(outside_ + "/victim", PathOf(KeyOf(2)));
  fs::create_symlink(outside_ + "/victim", folder() + "/" + PartName(KeyOf(2)));
  fs::create_hard_link(outside_ + "/victim", PathOf(KeyOf(3)));
  fs::create_directory(PathOf(KeyOf(4)));
  ASSERT_EQ(::mkfifo(PathOf(KeyOf(5)).c_str(), 0600), 0);
  const bool gave_away = ::geteuid() == 0;
  WriteAll(PathOf(KeyOf(6)), "x");
  if (gave_away) {
    ASSERT_EQ(::chown(PathOf(KeyOf(6)).c_str(), 12345, 12345), 0);
  }
  const auto before = Names();
  Enter();
  EXPECT_EQ(place().survey().foreign_count, gave_away ? 7U : 6U);
  EXPECT_EQ(place().survey().foreign.size(), place().survey().foreign_count);
  EXPECT_EQ(place().survey().parts_removed, 0U);
  ASSERT_OK(ScanNow().report);
  EXPECT_TRUE(place().Contains(KeyOf(1)));
  EXPECT_FALSE(place().Contains(KeyOf(3)));
  // Their names are not written to either.
  for (const uint64_t id : {2U, 3U, 4U, 5U}) {
    EXPECT_CODE(kNotFound, ReadNow(id, 0, 1));
    EXPECT_CODE(kNotFound, place().Remove(KeyOf(id), Durability::kInstance));
    EXPECT_CODE(kAlreadyExists, WriteNow(id, RandomBytes(10, 1)));
  }
  EXPECT_EQ(ReadAll(outside_ + "/victim"), "v");
  if (gave_away) {
    EXPECT_EQ(Names(), before);
  }
}

TEST_F(PlaceTest, FilesOfAnotherInstanceAreReportedAndLeftAlone) {
  Enter();
  ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
  ASSERT_OK(WriteNow(2, RandomBytes(5000, 2)));
  Leave();
  const std::string file = ReadAll(PathOf(KeyOf(1)));
  fs::remove_all(folder());
  Enter();
  ASSERT_OK(WriteNow(3, RandomBytes(5000, 3)));
  Leave();
  WriteAll(PathOf(KeyOf(1)), file);
  Enter();
  const Scanned scanned = ScanNow();
  ASSERT_OK(scanned.report);
  EXPECT_EQ(scanned.report->disowned, 1U);
  EXPECT_EQ(scanned.report->found, 1U);
  EXPECT_EQ(place().figures().files, 1U);
  EXPECT_CODE(kNotFound, ReadNow(1, 0, 5000));
  EXPECT_EQ(ReadAll(PathOf(KeyOf(1))), file);
}

TEST_F(PlaceTest, WhatWasBeingWrittenIsRemoved) {
  Enter();
  Leave();
  WriteAll(folder() + "/" + PartName(KeyOf(1)), std::string(10'000, 'x'));
  WriteAll(folder() + "/identity.part", "x");
  Enter();
  EXPECT_EQ(place().survey().parts_removed, 2U);
  EXPECT_EQ(Names(), (std::vector<std::string>{"identity", "lock"}));
}

TEST_F(PlaceTest, FiguresCountWhatIsThere) {
  Enter();
  const uint64_t one = FileLength(0, 100'000);
  ASSERT_OK(WriteNow(1, RandomBytes(100'000, 1)));
  ASSERT_OK(WriteNow(2, RandomBytes(100'000, 2)));
  EXPECT_EQ(place().figures().files, 2U);
  EXPECT_EQ(place().figures().bytes, 2 * one);
  EXPECT_EQ(place().figures().bytes,
            fs::file_size(PathOf(KeyOf(1))) + fs::file_size(PathOf(KeyOf(2))));
  ASSERT_OK(place().Remove(KeyOf(1), Durability::kDisk));
  EXPECT_CODE(kNotFound, place().Remove(KeyOf(1), Durability::kInstance));
  EXPECT_EQ(place().figures().bytes, one);
  Enter();
  EXPECT_EQ(place().figures().bytes, one);
  ASSERT_EQ(place().Keys(), std::vector<Key>{KeyOf(2)});
  // Replaced, it counts once.
  const Bytes other = RandomBytes(3 * kBlock, 3);
  ASSERT_OK(WriteNow({.key = KeyOf(2), .source = SourceOf(other), .if_there = IfThere::kReplace}));
  EXPECT_EQ(place().figures().files, 1U);
  EXPECT_EQ(place().figures().bytes, FileLength(0, other.size()));
  EXPECT_EQ(ReadNow(2, 0, other.size()).value(), other);
}

TEST_F(PlaceTest, TheLimitIsKeptToTheByteAndSaysWhatIsThere) {
  const uint64_t file = FileLength(0, 100'000);
  Enter({.most = 2 * file});
  const Bytes bytes = RandomBytes(100'000, 1);
  ASSERT_OK(WriteNow(1, bytes));
  ASSERT_OK(WriteNow(2, bytes));
  const Status full = WriteNow(3, Bytes(1));
  EXPECT_CODE(kOutOfMemory, full);
  EXPECT_NE(full.message().find("disk full"), std::string::npos) << full.message();
  EXPECT_NE(full.message().find("raise the limit"), std::string::npos);
  EXPECT_EQ(place().figures().making_bytes, 0U);
  EXPECT_EQ(Names().size(), 4U);
  ASSERT_OK(place().Remove(KeyOf(1), Durability::kInstance));
  EXPECT_OK(WriteNow(3, bytes));
  // A smaller limit than what is there refuses what comes, and nothing else.
  Enter({.most = file});
  EXPECT_CODE(kOutOfMemory, WriteNow(4, Bytes(1)));
  EXPECT_EQ(ReadNow(2, 0, bytes.size()).value(), bytes);
}

TEST_F(PlaceTest, SpaceThatIsToStayFreeStays) {
  for (const uint64_t leave : {~uint64_t{0}, ~uint64_t{0} / 2}) {
    Enter({.leave_free = leave});
    EXPECT_CODE(kOutOfMemory, WriteNow(1, Bytes(1)));
  }
  const Status full = WriteNow(1, Bytes(1));
  EXPECT_CODE(kOutOfMemory, full);
  EXPECT_NE(full.message().find("stay free"), std::string::npos);
  EXPECT_EQ(Names().size(), 2U);
}

TEST_F(PlaceTest, DamagedFilesAreMovedCountedAndKeptApart) {
  Enter();
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
    std::string file = ReadAll(PathOf(KeyOf(1)));
    file[5000] ^= 1;
    WriteAll(PathOf(KeyOf(1)), file);
    EXPECT_CODE(kCorrupted, ReadNow(1, 0, 5000));
    EXPECT_CODE(kNotFound, ReadNow(1, 0, 5000));
  }
  const std::string name = FileName(KeyOf(1));
  EXPECT_EQ(Names("/damaged"), (std::vector<std::string>{name, name + ".1", name + ".2"}));
  const uint64_t bytes = 3 * FileLength(0, 5000);
  EXPECT_EQ(place().figures().damaged_bytes, bytes);
  EXPECT_EQ(place().figures().files, 0U);
  EXPECT_EQ(place().figures().bytes, 0U);
  Enter({.most = bytes});
  EXPECT_EQ(place().figures().damaged_bytes, bytes);
  EXPECT_EQ(place().figures().damaged_files, 3U);
  EXPECT_CODE(kOutOfMemory, WriteNow(1, Bytes(1)));
}

TEST_F(PlaceTest, ADamagedFileThatCannotBeMovedIsNotServedEither) {
  Enter();
  WriteAll(folder() + "/damaged", "in the way");
  ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
  std::string file = ReadAll(PathOf(KeyOf(1)));
  file[5000] ^= 1;
  WriteAll(PathOf(KeyOf(1)), file);
  EXPECT_CODE(kCorrupted, ReadNow(1, 0, 5000));
  EXPECT_CODE(kCorrupted, ReadNow(1, 0, 5000));
  EXPECT_EQ(ReadAll(folder() + "/damaged"), "in the way");
  EXPECT_OK(place().Remove(KeyOf(1), Durability::kInstance));
}

TEST_F(PlaceTest, AFileThatSomebodyRemovedOrReplacedIsAnError) {
  Enter();
  ASSERT_OK(WriteNow(1, RandomBytes(5000, 1)));
  ASSERT_OK(WriteNow(2, RandomBytes(5000, 1)));
  ASSERT_OK(WriteNow(3, RandomBytes(5000, 1)));
  fs::remove(PathOf(KeyOf(1)));
  EXPECT_CODE(kNotFound, ReadNow(1, 0, 5000));
  EXPECT_EQ(place().figures().files, 2U);
  WriteAll(outside_ + "/victim", "v");
  fs::remove(PathOf(KeyOf(2)));
  fs::create_symlink(outside_ + "/victim", PathOf(KeyOf(2)));
  EXPECT_CODE(kCorrupted, ReadNow(2, 0, 5000));
  EXPECT_CODE(kNotFound, place().Remove(KeyOf(2), Durability::kInstance));
  EXPECT_TRUE(fs::is_symlink(PathOf(KeyOf(2))));
  // One file under another's name is no other file.
  fs::rename(PathOf(KeyOf(3)), PathOf(KeyOf(4)));
  Enter();
  const Scanned scanned = ScanNow();
  ASSERT_OK(scanned.report);
  EXPECT_EQ(scanned.report->set_aside, 1U);
  EXPECT_EQ(scanned.report->found, 0U);
}

TEST_F(PlaceTest, RemovalOfWhatIsBeingReadDisturbsNobody) {
  Enter();
  const Bytes bytes = RandomBytes(3 * kBlock, 1);
  ASSERT_OK(WriteNow(1, bytes));
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(1)));
  ASSERT_OK(place().Remove(KeyOf(1), Durability::kInstance));
  ASSERT_OK_AND_ASSIGN(const os::DiskBuffer scratch, os::DiskBuffer::Make(kBlock));
  Bytes back(bytes.size());
  ASSERT_OK(opened->Read(0, back, scratch.bytes()));
  EXPECT_EQ(back, bytes);
}

}  // namespace
}  // namespace vineyard::spill
