// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// HeapShares: what clients make the engine keep in memory of its own. It is not in the budget, which counts shared
// memory; so each volume may have some. Small things (a frame of usual size, a place in a queue) are not counted: their
// number is bounded.
//
// Note [The engine's own memory]
//
// There is a HeapShares for each of three things, as what waits for one must not be held up by another:
//
//  * large frames on their way. One that finds no room waits for it, in order, and is not read meanwhile. Who waits
//    holds nothing, or each of two could wait for what the other has. Who has room and does not send, while
//    others wait, is ended (Server::EndStalledFrames);
//  * requests that wait for shared memory or the disk: one more is refused;
//  * answers that nobody takes. There is room for one more: the connection that has taken nothing for longest
//    is ended (Server::RoomForAnswer). Its client, if it is one of ours, connects again and asks again.
//
// For the engine's thread. Claims and turns may outlive the HeapShares.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "vineyard/status.h"

namespace vineyard::daemon {

class HeapShares {
  struct State;

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

  /// A place in the queue of a volume, left when this goes.
  class Turn {
   public:
    Turn() = default;
    Turn(Turn&& other) noexcept { *this = std::move(other); }
    Turn& operator=(Turn&& other) noexcept;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { Leave(); }
    /// False: it has come, or there never was one.
    [[nodiscard]] bool waits() const;
    void Leave();

   private:
    friend class HeapShares;
    Turn(std::shared_ptr<State> state, uint64_t volume, uint64_t ticket)
        : state_(std::move(state)), volume_(volume), ticket_(ticket) {}
    std::shared_ptr<State> state_;
    uint64_t volume_ = 0;
    uint64_t ticket_ = 0;
  };

  struct Limits {
    uint64_t of_volume;  ///< What each has in any case; the most that one claim may be.
    uint64_t of_one;     ///< Of a volume that is the only one with any.
  };
  /// `on_less`: called when some was given back, or a queue has become shorter. Then somebody's turn may have come, and
  /// Grant is to be called soon; not from there.
  explicit HeapShares(Limits limits, std::function<void()> on_less = {});
  HeapShares(const HeapShares&) = delete;
  HeapShares& operator=(const HeapShares&) = delete;
  ~HeapShares();

  /// Nullopt where there is no room now, or others of the volume wait for some.
  [[nodiscard]] std::optional<Claim> TakeNow(uint64_t volume, uint64_t bytes);
  /// kLimitExceeded instead. `what` begins the message: "puts that wait for memory".
  Result<Claim> Take(uint64_t volume, uint64_t bytes, const char* what);
  /// `then` is called by a Grant, after those who came before. REQUIRES: 0 < bytes <= of_volume.
  Turn Await(uint64_t volume, uint64_t bytes, std::function<void(Claim)> then);
  void Grant();

  [[nodiscard]] uint64_t bytes() const;
  [[nodiscard]] bool AnyWaits() const;
  [[nodiscard]] bool AnyWaits(uint64_t volume) const;
  /// At least half of the volume's share is taken.
  [[nodiscard]] bool IsTight(uint64_t volume) const;

 private:
  struct Waiting {
    uint64_t bytes;
    std::function<void(Claim)> then;
  };
  struct State {
    Limits limits;
    std::function<void()> on_less;
    std::map<uint64_t, uint64_t> of;  // by volume; those that have any
    uint64_t all = 0;
    std::map<uint64_t, std::map<uint64_t, Waiting>> waiting;  // by volume, by ticket; no empty ones
    uint64_t next_ticket = 1;

    [[nodiscard]] uint64_t Of(uint64_t volume) const;
    [[nodiscard]] uint64_t ShareOf(uint64_t volume) const;
    [[nodiscard]] bool Fits(uint64_t volume, uint64_t bytes) const;
    void TellOfLess() const;
  };
  Claim Make(uint64_t volume, uint64_t bytes);

  std::shared_ptr<State> state_;
};

}  // namespace vineyard::daemon
