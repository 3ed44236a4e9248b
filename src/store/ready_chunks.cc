// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ready_chunks.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <numeric>
#include <ranges>
#include <span>
#include <utility>

#include "base/logging.h"
#include "os/memory_info.h"

namespace vineyard::store {

namespace {

constexpr std::chrono::seconds kTick{1};
constexpr uint64_t kTicksPerWindow = 15;
// Descriptors are counted by the system, and nobody puts so many in the time it takes to make more.
constexpr uint64_t kMostOfASize = 64;
constexpr size_t kMostSizes = 64;
// So much is made, or closed by the engine's thread itself, before anything else can be.
constexpr uint64_t kMadeAtOnce = uint64_t{16} << 20;
constexpr uint64_t kClosedAtOnce = uint64_t{4} << 20;
// Chunks smaller than this part of an extent would make it one of too many.
constexpr uint64_t kSmallestPart = 64;

uint64_t Sum(std::span<const uint64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
}

// Most of it in large chunks; of the others enough that the ends of extents find theirs.
std::vector<uint64_t> Mix(uint64_t bytes) {
  constexpr uint64_t kMiddle = uint64_t{16} << 20;
  std::vector<uint64_t> sizes;
  const auto add = [&](uint64_t size, uint64_t share) {
    for (uint64_t n = share / size; n > 0; --n) {
      sizes.push_back(size);
      bytes -= size;
    }
  };
  add(kWholeChunk, bytes / 16);
  add(kMiddle, bytes / 6);
  add(kLargestReadyChunk, bytes);
  add(kMiddle, bytes);
  add(kWholeChunk, bytes);
  return sizes;
}

}  // namespace

uint64_t ReadyChunks::Class::wanted() const {
  return std::min(std::max(peak, peak_before), kMostOfASize);
}

ReadyChunks::ReadyChunks(Budget& budget, RunOnPool pool, std::shared_ptr<os::PageToucher> toucher)
    : budget_(budget), pool_(std::move(pool)), toucher_(std::move(toucher)) {
  budget_.SetSpareOwner([this](uint64_t bytes) { GiveUp(bytes); });
}

ReadyChunks::~ReadyChunks() { budget_.SetSpareOwner({}); }

Status ReadyChunks::KeepAll() {
  keep_all_ = true;
  const std::vector<uint64_t> sizes = Mix(budget_.unused());
  VY_ASSIGN_OR_RETURN(std::vector<Chunk> made, MakeChunks(sizes));
  if (!budget_.TryAddSpare(Sum(sizes))) return Status::Internal("memory is waited for already");
  for (Chunk& chunk : made) Keep(std::move(chunk));
  return {};
}

// ---- taking

ReadyChunks::Taken ReadyChunks::Take(uint64_t size) {
  Taken taken = TakeReady(size);
  for (const Chunk& chunk : taken.chunks) ++(chunk.fd.valid() ? given_.ready : given_.missing);
  return taken;
}

// Largest first; where its own size is not at hand smaller ones do, as far as they are not too many.
ReadyChunks::Taken ReadyChunks::TakeReady(uint64_t size) {
  Taken taken;
  const std::vector<uint64_t> plan = PlanChunks(size);
  const bool has_short = !plan.empty() && plan.back() < kWholeChunk;
  uint64_t left = Sum(plan) - (has_short ? plan.back() : 0);
  const auto take = [&](Class& c) {
    taken.ready += c.ready.back().size;
    taken.chunks.push_back(std::move(c.ready.back()));
    c.ready.pop_back();
  };
  const uint64_t smallest = std::max(left / kSmallestPart, kWholeChunk);
  for (auto& [chunk, c] : std::views::reverse(classes_)) {
    if (chunk < smallest) break;
    for (; left >= chunk && !c.ready.empty(); left -= chunk) take(c);
  }
  for (const uint64_t missing : PlanChunks(left)) {
    taken.chunks.push_back({.fd = {}, .size = missing});
  }
  if (!has_short) return taken;
  const auto own = classes_.find(plan.back());
  if (own != classes_.end() && !own->second.ready.empty()) {
    take(own->second);
  } else {
    taken.chunks.push_back({.fd = {}, .size = plan.back()});
  }
  return taken;
}

void ReadyChunks::Return(std::vector<Chunk> chunks) {
  for (Chunk& chunk : chunks) {
    if (chunk.fd.valid()) Keep(std::move(chunk));
  }
}

ReadyChunks::Taken ReadyChunks::TakeAll() {
  Taken taken;
  for (auto& [size, c] : classes_) {
    taken.ready += size * c.ready.size();
    std::ranges::move(c.ready, std::back_inserter(taken.chunks));
    c.ready.clear();
  }
  return taken;
}

uint64_t ReadyChunks::files() const {
  uint64_t files = making_files_ + closing_files_;
  for (const auto& [size, c] : classes_) files += c.ready.size();
  return files;
}

void ReadyChunks::Keep(Chunk chunk) {
  std::vector<Chunk>& ready = classes_[chunk.size].ready;
  ready.push_back(std::move(chunk));
}

// ---- giving up

// As large ones as are needed whole, then the smallest that does.
void ReadyChunks::GiveUp(uint64_t bytes) {
  if (bytes <= closing_) return;
  bytes -= closing_;
  std::vector<Chunk> given;
  const auto give = [&](Class& c) {
    bytes -= std::min(bytes, c.ready.back().size);
    given.push_back(std::move(c.ready.back()));
    c.ready.pop_back();
  };
  for (auto& [size, c] : std::views::reverse(classes_)) {
    while (bytes >= size && !c.ready.empty()) give(c);
  }
  for (auto& [size, c] : classes_) {
    while (bytes > 0 && !c.ready.empty()) give(c);
  }
  Close(std::move(given));
}

void ReadyChunks::Close(std::vector<Chunk> chunks) {
  uint64_t bytes = 0;
  for (const Chunk& chunk : chunks) bytes += chunk.size;
  if (bytes <= kClosedAtOnce) {
    chunks.clear();
    return budget_.DropSpare(bytes);
  }
  const uint64_t files = chunks.size();
  closing_ += bytes;
  closing_files_ += files;
  auto shared = std::make_shared<std::vector<Chunk>>(std::move(chunks));
  pool_([shared] { shared->clear(); },
        [this, bytes, files] {
          closing_ -= bytes;
          closing_files_ -= files;
          budget_.DropSpare(bytes);
          budget_.Pump();
        });
}

// ---- making

void ReadyChunks::NoteDemand(uint64_t size, os::TimePoint now) {
  if (keep_all_) return;
  for (const uint64_t chunk : PlanChunks(size)) {
    if (chunk > kLargestReadyChunk) continue;
    if (classes_.size() >= kMostSizes && !classes_.contains(chunk)) continue;
    Class& c = classes_[chunk];
    c.peak = std::max(c.peak, ++c.taken);
  }
  held_peak_ = std::max(held_peak_, budget_.held());
  if (!next_tick_) next_tick_ = now + kTick;
}

uint64_t ReadyChunks::Ceiling() const {
  if (keep_all_) return budget_.free();
  return std::min(std::max(held_peak_, held_peak_before_), budget_.free() / 2);
}

// All sizes alike, or the small ones would leave nothing to the large ones.
double ReadyChunks::Share() const {
  double wanted = 0;
  for (const auto& [size, c] : classes_) {
    wanted += static_cast<double>(size) * static_cast<double>(c.wanted());
  }
  return wanted == 0 ? 1 : std::min(1.0, static_cast<double>(Ceiling()) / wanted);
}

uint64_t ReadyChunks::Class::share_of_wanted(double share) const {
  if (wanted() == 0) return 0;
  return std::max<uint64_t>(1, static_cast<uint64_t>(share * static_cast<double>(wanted())));
}

std::vector<uint64_t> ReadyChunks::Next() {
  const uint64_t ceiling = Ceiling();
  const uint64_t room = std::min(ceiling - std::min(ceiling, budget_.spare()), budget_.unused());
  if (keep_all_) {
    return PlanChunks(std::min(room, kLargestReadyChunk) / kWholeChunk * kWholeChunk);
  }
  const double share = Share();
  for (auto& [size, c] : classes_) {
    const uint64_t wanted = c.share_of_wanted(share);
    if (c.ready.size() <= wanted / 2) c.filling = true;
    if (c.ready.size() >= wanted) c.filling = false;
    if (!c.filling) continue;
    const uint64_t at_once = std::max<uint64_t>(kMadeAtOnce / size, 1);
    const uint64_t count = std::min({wanted - c.ready.size(), at_once, room / size});
    if (count > 0) return std::vector<uint64_t>(count, size);
  }
  return {};
}

void ReadyChunks::Refill() {
  if (making_ || refused_) return;
  std::vector<uint64_t> sizes = Next();
  const uint64_t bytes = Sum(sizes);
  if (bytes == 0) return;
  if (may_make_ && !may_make_(sizes.size()).ok()) return;  // descriptors are short
  if (!budget_.TryAddSpare(bytes)) return;
  making_ = true;
  making_files_ = sizes.size();
  if (keep_all_ || bytes <= affordable_) return Make(std::move(sizes), bytes);
  // Never more than half of what the machine's other programs have left.
  auto available = std::make_shared<uint64_t>(0);
  pool_(
      [available] {
        const auto read = os::ReadAvailableMemory();
        if (read.ok()) *available = *read;
      },
      [this, available, bytes, sizes = std::move(sizes)] {
        affordable_ = *available / 2;
        if (bytes <= affordable_) return Make(sizes, bytes);
        Made(Status::OutOfMemory("the machine has little memory left"), bytes);
      });
}

// What was promised is made at once, the rest when nobody else wants the processor.
void ReadyChunks::Make(std::vector<uint64_t> sizes, uint64_t bytes) {
  affordable_ -= std::min(affordable_, bytes);
  auto made = std::make_shared<Result<std::vector<Chunk>>>(Status::Internal("not made"));
  pool_(
      [made, sizes = std::move(sizes), toucher = keep_all_ ? nullptr : toucher_] {
        *made = toucher ? MakeChunksApart(sizes, *toucher) : MakeChunks(sizes);
      },
      [this, made, bytes] { Made(std::move(*made), bytes); });
}

void ReadyChunks::Made(Result<std::vector<Chunk>> made, uint64_t bytes) {
  making_ = false;
  making_files_ = 0;
  if (made.status().Is(StatusCode::kUnavailable) && toucher_ != nullptr) {
    log::Warning("pages are touched by the engine's own threads from now on",
                 {{"why", made.status().message()}});
    toucher_.reset();
    budget_.DropSpare(bytes);
    budget_.Pump();
    return Refill();
  }
  if (!made.ok()) {
    // Another program was faster: then less is ready, and what is stored does not suffer.
    refused_ = !keep_all_;
    budget_.DropSpare(bytes);
    return budget_.Pump();
  }
  if (budget_.waiting() > 0) {
    Close(std::move(*made));
    return budget_.Pump();
  }
  for (Chunk& chunk : *made) Keep(std::move(chunk));
  Refill();
}

// ---- time

void ReadyChunks::Tick(os::TimePoint now) {
  if (!next_tick_ || now < *next_tick_) return;
  refused_ = false;
  affordable_ = 0;
  const bool window_ends = ++ticks_ % kTicksPerWindow == 0;
  if (window_ends) held_peak_before_ = std::exchange(held_peak_, budget_.held());
  std::vector<Chunk> surplus;
  const double share = Share();
  for (auto it = classes_.begin(); it != classes_.end();) {
    Class& c = it->second;
    c.taken = 0;
    if (window_ends) c.peak_before = std::exchange(c.peak, 0);
    while (c.ready.size() > c.share_of_wanted(share)) {
      surplus.push_back(std::move(c.ready.back()));
      c.ready.pop_back();
    }
    it = c.wanted() == 0 ? classes_.erase(it) : std::next(it);
  }
  if (!surplus.empty()) Close(std::move(surplus));
  next_tick_.reset();
  if (!classes_.empty()) next_tick_ = now + kTick;
  Refill();
}

}  // namespace vineyard::store
