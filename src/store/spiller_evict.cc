// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From memory to the disk.
#include <algorithm>
#include <chrono>
#include <limits>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "base/size.h"
#include "os/crash_point.h"
#include "os/mapping.h"
#include "store/spiller.h"
#include "store/victims.h"

namespace vineyard::store {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Extents at a time: the disk's threads share them block by block.
constexpr size_t kMostWriting = 8;
constexpr int kMostLooks = 512;   // questions to the kernel in a turn, of a few microseconds each
constexpr int kMostAtOnce = 128;  // extents that begin to go in a turn
constexpr milliseconds kWanted{20};  // until the next look when nothing can go, and somebody waits
constexpr milliseconds kUnwanted{500};
constexpr seconds kDiskPause{1};  // after it has refused
constexpr seconds kComplaints{30};

uint64_t Less(uint64_t from, uint64_t by) { return from > by ? from - by : 0; }

uint64_t Share(uint64_t limit, double rate) {
  return static_cast<uint64_t>(static_cast<double>(limit) * rate);
}

}  // namespace

bool Spiller::MayGo(const Extent& extent) const {
  return extent.state == ExtentState::kSealed && extent.pins == 0 && extent.kept == 0 &&
         extent.held == 0 && extent.unkept == 0 && !extent.chunks.empty() &&
         !IsOfFirst(extent.blob.value());
}

std::optional<os::TimePoint> Spiller::look_again() const {
  if (!stuck_since_) return std::nullopt;
  return *stuck_since_ + (around_.budget.waiting() > 0 ? kWanted : kUnwanted);
}

// Bytes that have to be evicted beyond those that are on their way: for those who wait, or down to the
// lower mark once the upper one was passed.
uint64_t Spiller::Missing() {
  const Budget& budget = around_.budget;
  const uint64_t coming = closing_bytes_ + writing_bytes_ + around_.freeing();
  const uint64_t for_waiters = Less(budget.Wanted(os::Clock::now()), budget.free() + coming);
  const uint64_t used = Less(budget.held(), coming);
  if (used > Share(budget.limit(), marks_.upper)) draining_ = true;
  const uint64_t lower = Share(budget.limit(), marks_.lower);
  if (used <= lower) draining_ = false;
  return std::max(for_waiters, draining_ ? used - lower : 0);
}

void Spiller::Balance(os::TimePoint now) {
  if (balancing_ || (stuck_since_ && now < *look_again())) return;
  balancing_ = true;
  stuck_since_.reset();
  uint64_t missing = 0;
  int looks = kMostLooks;
  for (int n = 0; (missing = Missing()) > 0 && writing_ < kMostWriting; ++n) {
    if (n >= kMostAtOnce || (n > 0 && looks == 0)) {
      Later(&Coming::balance, &Spiller::BalanceMore);
      break;
    }
    Extent* victim = NextVictim(missing, looks);
    if (victim != nullptr && victim->on_disk) {
      Drop(*victim);
    } else if (victim == nullptr && n > 0 && looks == 0) {
      continue;
    } else if (victim == nullptr) {
      stuck_since_ = now;
      break;
    } else {
      Begin(*victim);
    }
  }
  const bool is_short = missing > 0 || draining_;
  if (std::exchange(short_, is_short) != is_short) around_.announce(is_short);
  balancing_ = false;
  if (stuck_since_) around_.rearm();
}

uint64_t Spiller::EvictClean(uint64_t bytes) {
  std::vector<Candidate> clean;
  for (const auto& [blob, extent] : around_.extents) {
    if (MayGo(*extent) && extent->on_disk) {
      clean.push_back({.blob = blob, .pages = extent->pages, .last_use = extent->last_use});
    }
  }
  uint64_t dropped = 0;
  int looks = 0;
  constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
  for (const uint64_t blob : ChooseVictims(std::move(clean), Clock(), kAll)) {
    if (dropped >= bytes || ++looks > kMostLooks) break;
    Extent& extent = *Find(blob);
    if (IsHeldElsewhere(extent)) continue;
    dropped += extent.pages;
    Drop(extent);
  }
  return dropped;
}

// ---- victims

// Chosen some at a time: asking which is best for each would cost as much as all extents are many. One that
// was used since is left for the next time.
Extent* Spiller::NextVictim(uint64_t bytes, int& looks) {
  const bool may_write = MayWrite();
  for (int round = 0; round < 3; ++round) {
    if (round > 0) ChooseMore(round == 1 ? bytes : std::numeric_limits<uint64_t>::max());
    while (!victims_.empty()) {
      if (looks == 0) return nullptr;
      Extent* extent = Find(victims_.front());
      victims_.pop_front();
      if (extent == nullptr || !MayGo(*extent) || extent->last_use > chosen_at_) continue;
      if (!Helps(*extent)) continue;
      if (!extent->on_disk && !may_write) continue;
      --looks;
      if (!IsHeldElsewhere(*extent)) return extent;
    }
  }
  return nullptr;
}

void Spiller::ChooseMore(uint64_t bytes) {
  std::unordered_set<uint64_t> mapped;
  for (const auto& [key, client] : around_.clients.all()) {
    mapped.insert(client->mapped.begin(), client->mapped.end());
  }
  std::vector<Candidate> candidates;
  for (const auto& [blob, extent] : around_.extents) {
    if (!MayGo(*extent) || !Helps(*extent)) continue;
    candidates.push_back({.blob = blob,
                          .pages = extent->pages,
                          .last_use = extent->last_use,
                          .on_disk = extent->on_disk,
                          .mapped = mapped.contains(blob)});
  }
  chosen_at_ = clock_;
  const std::vector<uint64_t> chosen =
      ChooseVictims(std::move(candidates), Clock(), std::max(bytes, around_.budget.limit() / 16));
  victims_.assign(chosen.begin(), chosen.end());
}

VictimClock Spiller::Clock() const { return {.now = clock_, .limit = around_.budget.limit()}; }

bool Spiller::MayWrite() const {
  return removing_ == 0 && (!no_writes_before_ || os::Clock::now() >= *no_writes_before_);
}

// ---- one eviction

// Its files stay open until it is written: whatever becomes of it, see TakeDeleted.
void Spiller::Begin(Extent& extent) {
  extent.state = ExtentState::kSpilling;
  ++writing_;
  writing_bytes_ += extent.pages;
  around_.disk.Write(
      KeyOf(extent), spill::SourceOfFiles(FilesOf(extent.chunks), extent.size),
      [this, blob = extent.blob.value()](const Status& status) { Written(blob, status); });
}

void Spiller::Written(uint64_t blob, const Status& status) {
  os::CrashPoint("evict.written");
  --writing_;
  asked_writes_.erase(blob);
  if (auto node = deleted_.extract(blob); !node.empty()) {
    std::unique_ptr<Extent> extent = std::move(node.mapped());
    writing_bytes_ -= extent->pages;
    if (status.ok()) RemoveFile(KeyOf(*extent));
    extent->state = ExtentState::kSealed;
    around_.give_back(std::move(extent));
    Settle(blob, Kind::kEvict, Status::NotFound("it has been deleted meanwhile"));
    TellWritten(blob);
    Tell();
    Balance();
    return EvictAsked();
  }
  Extent& extent = *Find(blob);
  extent.state = ExtentState::kSealed;
  writing_bytes_ -= extent.pages;
  const bool asked = requests_.First(Kind::kEvict, blob) != 0;
  Status outcome = status;
  if (status.ok()) {
    extent.on_disk = true;
    disk_trouble_ = {};
    no_writes_before_.reset();
    // Somebody may have opened it while it was being written.
    if (!MayGo(extent) || IsHeldElsewhere(extent)) {
      outcome = Status::FailedPrecondition(
          extent.blob.ToString() +
          " was opened, pinned or named to be kept while it was being written");
    } else if (asked || Missing() > 0) {
      Drop(extent);
    }
  } else {
    WriteFailed(extent, status);
  }
  Settle(blob, Kind::kEvict, outcome);
  TellWritten(blob);
  Tell();
  Balance();
  EvictAsked();
}

void Spiller::TellWritten(uint64_t blob) {
  const auto node = when_written_.extract(blob);
  if (node.empty()) return;
  for (const auto& then : node.mapped()) then();
}

// REQUIRES: a whole copy of it lies on the disk, and nobody else has its memory. No opening of it is
// given out before this thread comes back to its clients.
void Spiller::Drop(Extent& extent) {
  auto chunks = std::make_shared<std::vector<Chunk>>();  // shared by keeper's and pool's callbacks
  for (Chunk& chunk : extent.chunks) chunks->push_back({std::move(chunk.fd), chunk.size});
  extent.state = ExtentState::kSpilled;
  const uint64_t pages = extent.pages;
  const uint64_t blob = extent.blob.value();
  closing_bytes_ += pages;
  ++counts_.evictions;
  CountSpilled(extent, 1);
  WentAway(extent);
  os::CrashPoint("evict.before_drops");
  for (size_t i = 0; i < chunks->size(); ++i) {
    std::function<void()> then;
    if (i + 1 == chunks->size()) {
      then = [this, who = HolderOf(extent), chunks, pages] {
        os::CrashPoint("evict.keeper_dropped");
        Close(who, chunks, pages);
      };
    }
    around_.keeper.Drop(HeldKind::kChunk, blob, i, std::move(then));
    os::CrashPoint("evict.between_drops");
  }
}

// Nobody has them but this process. REQUIRES: `pages` are among closing_bytes_.
void Spiller::Close(Holder who, std::shared_ptr<std::vector<Chunk>> chunks, uint64_t pages) {
  const Amount amount{pages, chunks->size()};
  around_.pool([chunks] { chunks->clear(); },
               [this, who, amount] {
                 closing_bytes_ -= amount.bytes;
                 around_.budget.Give(who, amount);
                 Balance();
               });
}

// ---- what goes wrong

void Spiller::WriteFailed(Extent& extent, const Status& status) {
  extent.last_use = clock_;
  if (status.Is(StatusCode::kOutOfMemory) && MakeRoomOnDisk(extent.pages)) return;
  NoteTrouble(status);
}

void Spiller::NoteTrouble(const Status& status) {
  const os::TimePoint now = os::Clock::now();
  ++counts_.failed_writes;
  disk_trouble_ = status;
  no_writes_before_ = now + kDiskPause;
  if (complained_ && now < *complained_ + kComplaints) return;
  complained_ = now;
  log::Warning("objects can't be spilled, and stay in memory", {{"why", status.message()}});
}

// Copies of what is in memory are worth least: those first that would be evicted last. Until the keeper has what
// was loaded, the file is what outlives the engine. False: there are none.
bool Spiller::MakeRoomOnDisk(uint64_t bytes) {
  std::vector<Extent*> copies;
  for (const auto& [blob, extent] : around_.extents) {
    const bool kept = extent->state == ExtentState::kSealed && extent->unkept == 0;
    // What is to be durable stays, and what is about to be.
    if (extent->secured || extent->held > 0) continue;
    if (kept && extent->on_disk) copies.push_back(extent.get());
  }
  std::ranges::sort(copies, std::greater(), &Extent::last_use);
  uint64_t sum = 0;
  for (Extent* extent : copies) {
    if (sum >= bytes) break;
    sum += extent->pages;
    extent->on_disk = false;
    // Nothing is written meanwhile: it might be this very file.
    ++removing_;
    around_.disk.Remove(KeyOf(*extent), [this, key = KeyOf(*extent)](const Status& removed) {
      if (!removed.ok() && !removed.Is(StatusCode::kNotFound)) {
        NoteTrouble(removed);
        if (Extent* stays = Find(key.id)) {
          stays->on_disk = true;
        } else {
          RemoveLater(key, removed);
        }
      }
      RoomWasMade();
    });
  }
  return sum > 0;
}

void Spiller::RoomWasMade() {
  if (--removing_ > 0) return;
  stuck_since_.reset();
  for (const auto& then : std::exchange(when_room_, {})) then();
  Balance();
  EvictAsked();
}

}  // namespace vineyard::store
