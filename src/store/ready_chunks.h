// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ReadyChunks: chunks whose pages are present, made ahead of need.
//
// Making pages is the slow part of a large put, so what was asked for lately is made again in the background,
// in chunks of the same sizes: at most as much as extents held lately, at most half of what is free, and
// nothing of it after half a minute without use. With --reserve_memory it is all that is free, always.
//
// It is spare memory of the budget: whoever needs memory gets it first. Chunks in it have never been anybody's:
// a chunk that was sealed can't be used again, and one that was not would have to be zeroed, which costs
// what a new one costs. Owned by the engine's thread; chunks are made and closed on the pool.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "os/page_toucher.h"
#include "os/socket.h"
#include "store/budget.h"
#include "store/extent.h"
#include "store/memory_keeper.h"

namespace vineyard::store {

class ReadyChunks {
 public:
  /// `toucher` may be null: the pool's threads touch then.
  ReadyChunks(Budget& budget, RunOnPool pool, std::shared_ptr<os::PageToucher> toucher);
  ~ReadyChunks();
  /// Asked before files are made; OK where it was never set.
  void SetMayMake(std::function<Status(uint64_t files)> may_make) {
    may_make_ = std::move(may_make);
  }
  ReadyChunks(const ReadyChunks&) = delete;
  ReadyChunks& operator=(const ReadyChunks&) = delete;

  /// Takes all that is free now, and whatever becomes free later. Blocks. kOutOfMemory when the machine
  /// does not have it.
  Status KeepAll();

  struct Taken {
    std::vector<Chunk> chunks;  // those without a file are to be made
    uint64_t ready = 0;         // bytes of the others, still counted as spare: see Budget::UseSpare
  };
  /// Chunks for an extent of `size` bytes; their sum is that of PlanChunks.
  Taken Take(uint64_t size);
  /// What was taken is not wanted after all.
  void Return(std::vector<Chunk> chunks);
  /// All there is. Their bytes are counted as spare until the caller has closed them, and said so.
  Taken TakeAll();
  /// An extent of so many bytes was wanted: the like of it will be made.
  void NoteDemand(uint64_t size, os::TimePoint now);
  /// Makes what is missing, if nothing is being made. To be called when memory was taken or given back.
  void Refill();

  /// Memory files: ready, about to be, and about to be closed.
  [[nodiscard]] uint64_t files() const;

  /// Chunks that Take has given since the engine began: those that were ready, and those that were not.
  struct Given {
    uint64_t ready = 0;
    uint64_t missing = 0;
  };
  [[nodiscard]] Given given() const { return given_; }

  [[nodiscard]] std::optional<os::TimePoint> NextTick() const { return next_tick_; }
  /// Forgets demand that is long past, and closes what was made for it.
  void Tick(os::TimePoint now);

 private:
  struct Class {
    std::vector<Chunk> ready;
    uint64_t taken = 0;        // since the last tick
    uint64_t peak = 0;         // the most of a tick's, in this window
    uint64_t peak_before = 0;  // and in the one before
    bool filling = false;      // from half of what is wanted on, until all of it is there
    [[nodiscard]] uint64_t wanted() const;
    [[nodiscard]] uint64_t share_of_wanted(double share) const;
  };

  /// Closes at least so much, if there is as much.
  void GiveUp(uint64_t bytes);
  void Close(std::vector<Chunk> chunks);
  void Keep(Chunk chunk);
  /// Sizes to make next; none: enough is ready.
  std::vector<uint64_t> Next();
  void Make(std::vector<uint64_t> sizes, uint64_t bytes);
  void Made(Result<std::vector<Chunk>> made, uint64_t bytes);
  /// What part of all that is wanted may be ready.
  [[nodiscard]] double Share() const;
  /// The most that may be spare.
  [[nodiscard]] uint64_t Ceiling() const;

  Taken TakeReady(uint64_t size);

  Budget& budget_;
  RunOnPool pool_;
  std::shared_ptr<os::PageToucher> toucher_;
  std::map<uint64_t, Class> classes_;  // by size
  uint64_t held_peak_ = 0;             // the most that was held in this window
  uint64_t held_peak_before_ = 0;
  uint64_t closing_ = 0;  // bytes
  uint64_t closing_files_ = 0;
  uint64_t ticks_ = 0;
  Given given_;
  std::optional<os::TimePoint> next_tick_;
  bool keep_all_ = false;
  std::function<Status(uint64_t files)> may_make_;
  bool making_ = false;
  uint64_t making_files_ = 0;
  bool refused_ = false;     // the machine had no memory: not before the next tick
  uint64_t affordable_ = 0;  // of what the machine had available when it was last asked
};

}  // namespace vineyard::store
