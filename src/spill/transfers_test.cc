// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/transfers.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "os/disk_fault.h"
#include "os/memfd.h"
#include "spill/test_place.h"

namespace vineyard::spill {
namespace {

constexpr uint64_t kSizes[] = {0,
                               1,
                               4095,
                               4096,
                               4097,
                               kBlock - 1,
                               kBlock,
                               kBlock + 1,
                               2 * kBlock,
                               3 * kBlock + 4096,
                               5 * kBlock - 4096,
                               7 * kBlock + 12'345};

class TransfersTest : public PlaceTest {
 protected:
  void SetUp() override {
    PlaceTest::SetUp();
    Enter();
  }
};

TEST_F(TransfersTest, WhatIsWrittenComesBackWhateverItsSize) {
  uint64_t id = 0;
  for (const uint64_t size : kSizes) {
    const Bytes bytes = RandomBytes(size, ++id);
    const auto durability = id % 2 == 0 ? Durability::kInstance : Durability::kDisk;
    ASSERT_OK(WriteNow(id, bytes, durability)) << size;
    EXPECT_EQ(fs::file_size(PathOf(KeyOf(id))), FileLength(0, size));
    ASSERT_OK_AND_ASSIGN(const Bytes back, ReadNow(id, 0, size));
    EXPECT_TRUE(back == bytes) << size;
    const std::string file = ReadAll(PathOf(KeyOf(id)));
    EXPECT_EQ(file.find_first_not_of('\0', HeadLength(0, size) + size), std::string::npos)
        << "what other files had there";
    EXPECT_OK(CheckNow(id));
  }
  EXPECT_EQ(place().figures().files, id);
}

TEST_F(TransfersTest, WhatIsWrittenIsFoundAgainWithItsDescription) {
  const Bytes bytes = RandomBytes(kBlock + 7, 1);
  for (uint64_t id = 1; id <= 100; ++id) {
    const Bytes description = RandomBytes(id * 100, id);
    ASSERT_OK(WriteNow({.key = KeyOf(id), .source = SourceOf(bytes), .description = description}));
  }
  Enter();
  EXPECT_EQ(place().survey().files.size(), 100U);
  const Scanned scanned = ScanNow();
  ASSERT_OK(scanned.report);
  EXPECT_EQ(scanned.report->found, 100U);
  ASSERT_EQ(scanned.found.size(), 100U);
  for (const Found& found : scanned.found) {
    EXPECT_EQ(found.size, bytes.size());
    EXPECT_GT(found.written_ns, 0);
    EXPECT_TRUE(found.description == RandomBytes(found.key.id * 100, found.key.id));
  }
  EXPECT_EQ(ReadNow(77, 0, bytes.size()).value(), bytes);
}

TEST_F(TransfersTest, ARangeComesBackWhereverItBeginsAndEnds) {
  const uint64_t size = 3 * kBlock + 5000;
  const Bytes bytes = RandomBytes(size, 1);
  ASSERT_OK(WriteNow(1, bytes));
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(1)));
  ASSERT_OK_AND_ASSIGN(const os::DiskBuffer scratch, os::DiskBuffer::Make(kBlock));
  const uint64_t edges[] = {0,          1,          4096,           kBlock - 1, kBlock, kBlock + 1,
                            2 * kBlock, 3 * kBlock, 3 * kBlock + 1, size - 1,   size};
  for (const uint64_t begin : edges) {
    for (const uint64_t end : edges) {
      if (end < begin) continue;
      const auto wanted = std::span(bytes).subspan(begin, end - begin);
      ASSERT_OK_AND_ASSIGN(Bytes back, ReadNow(1, begin, end - begin));
      EXPECT_TRUE(std::ranges::equal(back, wanted)) << begin << " to " << end;
      Bytes streamed(end - begin);
      ASSERT_OK(opened->Read(begin, streamed, scratch.bytes()));
      EXPECT_TRUE(streamed == back) << begin << " to " << end;
    }
  }
  Bytes one(1);
  for (const uint64_t offset : {size, size + 1, ~uint64_t{0}}) {
    EXPECT_CODE(kInvalid, ReadNow(1, offset, 1)) << offset;
    EXPECT_CODE(kInvalid, opened->Read(offset, one, scratch.bytes())) << offset;
  }
  EXPECT_CODE(kInvalid, ReadNow(1, 1, size));
  EXPECT_EQ(place().figures().files, 1U) << "a bad request is no damage";
}

// Parts whose edges are no edges of blocks or pages.
TEST_F(TransfersTest, PartsMayLieAnywhere) {
  const Bytes bytes = RandomBytes(4 * kBlock + 100, 1);
  const size_t cuts[] = {1, 4096, 100'000, kBlock, 1, 2 * kBlock - 5};
  Source source;
  Bytes back(bytes.size());
  Destination destination;
  size_t at = 0;
  for (const size_t cut : cuts) {
    source.spans.push_back(std::span(bytes).subspan(at, cut));
    destination.spans.push_back(std::span(back).subspan(at, cut));
    at += cut;
  }
  source.spans.push_back(std::span(bytes).subspan(at));
  destination.spans.push_back(std::span(back).subspan(at));
  ASSERT_OK(WriteNow({.key = KeyOf(1), .source = source}));
  ASSERT_OK(ReadNow({.key = KeyOf(1), .destination = destination}));
  EXPECT_TRUE(back == bytes);
}

TEST_F(TransfersTest, WhatIsToBeFilledIsPreparedFirst) {
  const uint64_t size = 3 * kBlock + 100;
  const Bytes bytes = RandomBytes(size, 1);
  ASSERT_OK(WriteNow({.key = KeyOf(1), .source = SourceOf(bytes)}));
  // Of its own kind of byte, so that what was prepared too late would be seen.
  Bytes back(size, std::byte{1});
  std::atomic<uint64_t> prepared = 0;
  const auto prepare = [&](std::span<std::byte> piece) {
    std::ranges::fill(piece, std::byte{2});
    prepared += piece.size();
    return Status();
  };
  const Destination whole{.spans = {std::span(back)}, .prepare = prepare};
  ASSERT_OK(ReadNow({.key = KeyOf(1), .destination = whole}));
  EXPECT_EQ(prepared, size);
  EXPECT_TRUE(back == bytes);
  // Only the range, where that is not of whole blocks.
  prepared = 0;
  const Destination part{.spans = {std::span(back).first(kBlock + 7)}, .prepare = prepare};
  ASSERT_OK(ReadNow({.key = KeyOf(1), .offset = kBlock - 3, .destination = part}));
  EXPECT_EQ(prepared, kBlock + 7);
  EXPECT_TRUE(std::ranges::equal(part.spans[0], std::span(bytes).subspan(kBlock - 3, kBlock + 7)));
}

TEST_F(TransfersTest, WhatCanNotBePreparedIsNotRead) {
  ASSERT_OK(WriteNow({.key = KeyOf(1), .source = SourceOf(RandomBytes(3 * kBlock, 1))}));
  Bytes back(3 * kBlock);
  const Destination destination{.spans = {std::span(back)}, .prepare = [](std::span<std::byte>) {
                                  return Status::OutOfMemory("no pages");
                                }};
  EXPECT_CODE(kOutOfMemory, ReadNow({.key = KeyOf(1), .destination = destination}));
  EXPECT_TRUE(back == Bytes(3 * kBlock));
  EXPECT_EQ(place().figures().damaged_files, 0U) << "the file is not at fault";
}

TEST_F(TransfersTest, FilesThatCanNotBeMappedAreNoFullDisk) {
  const os::UniqueFd file = os::CreateMemfd("transfers_test", 8192).value();
  const std::vector<os::FilePart> files = {{file.get(), 8192}};
  EXPECT_CODE(kInvalid, WriteNow({.key = KeyOf(1), .source = SourceOfFiles(files, kBlock)}));
  EXPECT_EQ(place().figures().files, 0U);
  EXPECT_EQ(place().figures().making_bytes, 0U);
}

TEST_F(TransfersTest, SealedMemoryFilesGoToDiskAndComeBackIntoNewOnes) {
  const uint64_t sizes[] = {4 * kBlock, 2 * kBlock, 8192};
  const uint64_t size = 6 * kBlock + 5000;  // the last file is not used to its end
  const Bytes bytes = RandomBytes(size, 1);
  const auto make = [&](std::vector<os::UniqueFd>& fds) {
    std::vector<os::FilePart> files;
    for (const uint64_t file : sizes) {
      fds.push_back(os::CreateMemfd("transfers_test", file).value());
      files.push_back({fds.back().get(), file});
    }
    return files;
  };
  std::vector<os::UniqueFd> old;
  const auto old_files = make(old);
  {
    ASSERT_OK_AND_ASSIGN(const Destination filling, MapDestination(old_files, size));
    std::ranges::copy(bytes, filling.spans[0].begin());
  }
  for (const auto& fd : old) ASSERT_OK(os::SealForever(fd));
  ASSERT_OK(WriteNow({.key = KeyOf(1), .source = SourceOfFiles(old_files, size)}));
  old.clear();
  std::vector<os::UniqueFd> fresh;
  const auto fresh_files = make(fresh);
  ASSERT_OK_AND_ASSIGN(Destination destination, MapDestination(fresh_files, size));
  ASSERT_OK(ReadNow({.key = KeyOf(1), .destination = std::move(destination)}));
  // Whoever is told of the end may seal: the mapping, and the disk's hold on its pages, are gone.
  for (const auto& fd : fresh) ASSERT_OK(os::SealForever(fd));
  ASSERT_OK_AND_ASSIGN(const Source back, MapSource(fresh_files, size));
  EXPECT_TRUE(std::ranges::equal(back.spans[0], bytes));
  EXPECT_CODE(kInvalid, MapSource(fresh_files, 7 * kBlock));
}

TEST_F(TransfersTest, AFileSystemWithoutDirectAccessDoesAsWell) {
  os::SetDiskFault(os::DiskCall::kDirect, 1);
  const Bytes bytes = RandomBytes(5 * kBlock + 77, 1);
  ASSERT_OK(WriteNow(1, bytes, Durability::kDisk));
  EXPECT_TRUE(ReadNow(1, 0, bytes.size()).value() == bytes);
  EXPECT_TRUE(os::ClearDiskFault());
  EXPECT_TRUE(ReadNow(1, 0, bytes.size()).value() == bytes);
}

TEST_F(TransfersTest, AKeyIsWrittenOnceUnlessItIsToBeReplaced) {
  const Bytes first = RandomBytes(5000, 1);
  const Bytes second = RandomBytes(2 * kBlock, 2);
  ASSERT_OK(WriteNow(1, first));
  EXPECT_CODE(kAlreadyExists, WriteNow(1, second));
  EXPECT_EQ(ReadNow(1, 0, first.size()).value(), first);
  ASSERT_OK_AND_ASSIGN(const auto opened, OpenedFile::Open(place_, KeyOf(1)));
  for (const auto durability : {Durability::kInstance, Durability::kDisk}) {
    ASSERT_OK(WriteNow({.key = KeyOf(1),
                        .source = SourceOf(second),
                        .durability = durability,
                        .if_there = IfThere::kReplace}));
  }
  EXPECT_TRUE(ReadNow(1, 0, second.size()).value() == second);
  // Who has the old one open reads the old one.
  ASSERT_OK_AND_ASSIGN(const os::DiskBuffer scratch, os::DiskBuffer::Make(kBlock));
  Bytes back(first.size());
  ASSERT_OK(opened->Read(0, back, scratch.bytes()));
  EXPECT_EQ(back, first);
}

TEST_F(TransfersTest, KeysOfOtherVolumesAndKindsAreOthers) {
  const Key keys[] = {{1, 5, 1}, {2, 5, 1}, {1, 5, 2}, {1, 6, 1}, {~uint64_t{0}, 5, 255}};
  uint64_t seed = 0;
  for (const Key& key : keys) {
    const Bytes bytes = RandomBytes(100, ++seed);
    ASSERT_OK(WriteNow({.key = key, .source = SourceOf(bytes)}));
  }
  seed = 0;
  for (const Key& key : keys) {
    Bytes back(100);
    ASSERT_OK(ReadNow({.key = key, .destination = {.spans = {std::span(back)}}}));
    EXPECT_EQ(back, RandomBytes(100, ++seed));
  }
}

TEST_F(TransfersTest, WhatNoFileHoldsIsRefused) {
  EXPECT_CODE(kInvalid, WriteNow({.key = {.volume = 1, .id = 1, .kind = 0}}));
  EXPECT_CODE(kInvalid, WriteNow({.key = KeyOf(1), .description = Bytes(kMostDescription + 1)}));
  EXPECT_CODE(kNotFound, ReadNow(1, 0, 0));
  EXPECT_CODE(kNotFound, CheckNow(1));
  EXPECT_EQ(Names().size(), 2U);
}

TEST_F(TransfersTest, WhatIsCalledOffLeavesNothing) {
  const Bytes bytes = RandomBytes(64 * kBlock, 1);
  for (uint64_t id = 1; id <= 20; ++id) {
    std::shared_ptr<Job> job;
    const Status status = WaitFor<Status>([&](auto done) {
      job = Write(place_, *crew_, {.key = KeyOf(id), .source = SourceOf(bytes)}, std::move(done));
      std::this_thread::sleep_for(std::chrono::microseconds(500 * id));
      job->Cancel();
    });
    EXPECT_TRUE(status.ok() || status.Is(StatusCode::kCancelled)) << status.ToString();
    EXPECT_EQ(place().Contains(KeyOf(id)), status.ok());
  }
  EXPECT_EQ(place().figures().making_bytes, 0U);
  EXPECT_EQ(Names().size(), 2 + place().figures().files);
  for (const Key& key : place().Keys()) EXPECT_OK(CheckNow(key.id));
}

TEST_F(TransfersTest, ManyAtOnceAreWrittenReadAndRemoved) {
  const Bytes bytes = RandomBytes(3 * kBlock, 1);
  std::vector<std::thread> users;
  for (uint64_t user = 0; user < 4; ++user) {
    users.emplace_back([&, user] {
      for (uint64_t round = 0; round < 10; ++round) {
        const uint64_t id = user * 100 + round;
        const uint64_t size = kBlock / 3 * (round + 1) % bytes.size();
        const Bytes mine(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_OK(WriteNow(id, mine));
        auto back = ReadNow(id, 0, size);
        EXPECT_TRUE(back.ok() && *back == mine) << back.status().ToString();
        if (round % 2 == 0) {
          EXPECT_OK(place().Remove(KeyOf(id), Durability::kInstance));
        }
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(place().figures().files, 20U);
  EXPECT_EQ(Names().size(), 22U);
}

TEST_F(TransfersTest, OfTwoThatWriteOneKeyAtOnceOneIsRefused) {
  const Bytes bytes = RandomBytes(8 * kBlock, 1);
  for (uint64_t id = 1; id <= 10; ++id) {
    Status statuses[2];
    std::thread other([&] { statuses[0] = WriteNow(id, bytes); });
    statuses[1] = WriteNow(id, bytes);
    other.join();
    EXPECT_NE(statuses[0].ok(), statuses[1].ok());
    EXPECT_CODE(kAlreadyExists, statuses[0].ok() ? statuses[1] : statuses[0]);
    EXPECT_OK(CheckNow(id));
  }
}

TEST_F(TransfersTest, TheEndOfTheCrewLeavesWholeFilesOnly) {
  const Bytes bytes = RandomBytes(16 * kBlock, 1);
  std::atomic<int> ended = 0;
  std::atomic<int> written = 0;
  for (uint64_t id = 1; id <= 20; ++id) {
    Write(place_, *crew_, {.key = KeyOf(id), .source = SourceOf(bytes)}, [&](const Status& status) {
      ++ended;
      if (status.ok()) ++written;
    });
  }
  crew_.reset();
  EXPECT_EQ(ended.load(), 20);
  EXPECT_EQ(Names().size(), 2U + static_cast<size_t>(written.load()));
  Enter();
  EXPECT_EQ(place().survey().parts_removed, 0U);
  for (const Key& key : place().Keys()) EXPECT_OK(CheckNow(key.id));
}

}  // namespace
}  // namespace vineyard::spill
