// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// HeardVolumes: whether others than one volume's clients talk to the engine at present.
//
// The engine's thread notes whom it hears; any thread may ask. The two volumes that were heard last are enough
// for that: of these one is another's. Their words are read one by one, so an answer may be of two instants; it only
// decides about a pause.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "os/socket.h"

namespace vineyard::store {

class HeardVolumes {
 public:
  void Note(uint64_t volume, os::TimePoint now) {
    if (last_.volume.load(std::memory_order_relaxed) != volume) {
      before_.Set(last_.volume.load(std::memory_order_relaxed),
                  last_.heard.load(std::memory_order_relaxed));
    }
    last_.Set(volume, now.time_since_epoch().count());
  }

  /// Whether a client of another volume was heard within kLately.
  [[nodiscard]] bool AnotherThan(uint64_t volume, os::TimePoint now) const {
    return last_.IsAnother(volume, now) || before_.IsAnother(volume, now);
  }

  static constexpr std::chrono::milliseconds kLately{20};

 private:
  struct Heard {
    std::atomic<uint64_t> volume = 0;
    std::atomic<os::Clock::rep> heard = 0;

    void Set(uint64_t v, os::Clock::rep at) {
      volume.store(v, std::memory_order_relaxed);
      heard.store(at, std::memory_order_relaxed);
    }
    [[nodiscard]] bool IsAnother(uint64_t than, os::TimePoint now) const {
      const uint64_t v = volume.load(std::memory_order_relaxed);
      const os::TimePoint at{os::Clock::duration(heard.load(std::memory_order_relaxed))};
      return v != 0 && v != than && now < at + kLately;
    }
  };
  Heard last_;
  Heard before_;
};

}  // namespace vineyard::store
