// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// HeapShares: what clients make the engine keep in memory of its own: frames that have come in part, and puts that wait
// for room. It is not in the budget, which counts shared memory; so each volume may have some, and
// what is more is refused. Small things (a frame of usual size, a place in a queue) are not counted: their number is
// bounded.
//
// For the engine's thread. Claims may outlive the HeapShares.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "vineyard/status.h"

namespace vineyard::daemon {

class HeapShares {
  struct State {
    std::map<uint64_t, uint64_t> of;  // by volume; those that have any
    uint64_t all = 0;
  };

 public:
  /// Bytes that are kept for a volume as long as this lives.
  class Claim {
   public:
    Claim() = default;
    Claim(Claim&& other) noexcept { *this = std::move(other); }
    Claim& operator=(Claim&& other) noexcept;
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    ~Claim() { Release(); }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }
    void Release();

   private:
    friend class HeapShares;
    Claim(std::shared_ptr<State> state, uint64_t volume, uint64_t bytes)
        : state_(std::move(state)), volume_(volume), bytes_(bytes) {}
    std::shared_ptr<State> state_;
    uint64_t volume_ = 0;
    uint64_t bytes_ = 0;
  };

  /// kLimitExceeded where the volume has its share. `what` begins the message: "puts that wait for memory".
  Result<Claim> Take(uint64_t volume, uint64_t bytes, const char* what);
  [[nodiscard]] uint64_t bytes() const { return state_->all; }

  /// Of all volumes together; and what each has in any case: the largest frame fits.
  static constexpr uint64_t kAll = uint64_t{1} << 30;
  static constexpr uint64_t kOfVolume = uint64_t{96} << 20;

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace vineyard::daemon
