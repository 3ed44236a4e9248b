// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Random takings, givings, waits and guarantees of several volumes, against the promises of budget.h's two Notes, each
// checked after every step by counting anew. There is no clock: deadlines are numbers.
#include "store/budget.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace vineyard::store {
namespace {

constexpr uint64_t kLimit = 1000;
constexpr uint64_t kVolumes = 5;

Holder VolumeOf(uint64_t number) { return Holder{number}; }

class BudgetModel {
 public:
  explicit BudgetModel(uint64_t seed) : random_(seed) {
    budget_.SetSpareOwner([this](uint64_t bytes) {
      bytes = std::min(bytes, budget_.spare() - late_spare_);
      if (Any(2) == 0) return budget_.DropSpare(bytes);
      late_spare_ += bytes;  // closed later
    });
  }

  void Step() {
    switch (Any(12)) {
      case 0:
      case 1: Try(); break;
      case 2:
      case 3:
      case 4: Wait(); break;
      case 5:
      case 6:
      case 7: Give(); break;
      case 8: Cancel(); break;
      case 9: Expire(); break;
      case 10: Guarantee(); break;
      default: Spare(); break;
    }
    Check();
  }
  /// Everybody gives back all there is: then everybody who can has been let in.
  void Finish() {
    for (int i = 0; i < 10'000 && (budget_.waiting() > 0 || budget_.held() > 0); ++i) {
      for (uint64_t v = 0; v < kVolumes; ++v) SetGuarantee(v, 0);
      Give();
      Spare();
      budget_.Pump();
      Check();
    }
    EXPECT_EQ(budget_.waiting(), 0U);
    EXPECT_EQ(budget_.held(), 0U);
  }
  [[nodiscard]] uint64_t granted() const { return granted_; }
  [[nodiscard]] uint64_t longest_wait() const { return longest_wait_; }

 private:
  struct Waiting {
    Budget::Id id = 0;
    uint64_t volume = 0;
    uint64_t bytes = 0;
    uint64_t deadline = 0;
    // Of each other volume, how many have been let in by turn since this is the first of its own.
    std::map<uint64_t, uint64_t> passed{};
  };

  uint64_t Any(uint64_t below) { return random_() % below; }
  uint64_t AnySize() { return Any(4) == 0 ? 1 + Any(kLimit) : 1 + Any(kLimit / 10); }
  [[nodiscard]] uint64_t HeldBy(uint64_t volume) const { return held_.at(volume); }
  [[nodiscard]] uint64_t RestOf(uint64_t volume) const {
    const uint64_t guaranteed = guaranteed_.at(volume);
    return guaranteed > HeldBy(volume) ? guaranteed - HeldBy(volume) : 0;
  }
  [[nodiscard]] uint64_t Free() const {
    uint64_t held = 0;
    for (const uint64_t h : held_) held += h;
    return held > kLimit ? 0 : kLimit - held;
  }
  [[nodiscard]] uint64_t FreeFor(uint64_t volume) const {
    uint64_t kept = 0;
    for (uint64_t v = 0; v < kVolumes; ++v) kept += v == volume ? 0 : RestOf(v);
    return std::max(kept > Free() ? 0 : Free() - kept, std::min(RestOf(volume), Free()));
  }
  [[nodiscard]] bool IsInReach(const Waiting& w) const {
    uint64_t others = 0;
    for (uint64_t v = 0; v < kVolumes; ++v) others += v == w.volume ? 0 : guaranteed_.at(v);
    return w.bytes <= kLimit - others;
  }
  [[nodiscard]] std::vector<const Waiting*> Firsts() const {
    std::map<uint64_t, const Waiting*> firsts;
    for (const Waiting& w : waiting_) firsts.try_emplace(w.volume, &w);
    std::vector<const Waiting*> list;
    for (const auto& [volume, w] : firsts) list.push_back(w);
    return list;
  }

  void Note(uint64_t volume, uint64_t bytes) {
    held_.at(volume) += bytes;
    pieces_.emplace_back(volume, bytes);
  }
  void Try() {
    const uint64_t volume = Any(kVolumes);
    const uint64_t bytes = AnySize();
    const bool own_waits =
        std::ranges::any_of(waiting_, [&](const Waiting& w) { return w.volume == volume; });
    const bool may = waiting_.empty() || (!own_waits && bytes <= RestOf(volume));
    const bool fits = bytes <= FreeFor(volume);
    const uint64_t at_once = Free() - std::min(Free(), budget_.spare());
    const bool took = budget_.TryTake(VolumeOf(volume), {bytes});
    EXPECT_TRUE(!took || (may && fits));
    if (may && fits && bytes <= at_once) {
      EXPECT_TRUE(took);
    }
    if (took) Note(volume, bytes);
  }
  void Wait() {
    Waiting w{.volume = Any(kVolumes), .bytes = AnySize(), .deadline = now_ + Any(400)};
    w.id = budget_.Wait(VolumeOf(w.volume), {w.bytes}, Time(w.deadline), Answer());
    waiting_.push_back(w);
    Pump();
  }
  std::function<void(Status)> Answer() {
    const uint64_t serial = ++serial_;
    return [this, serial](const Status& status) { Answered(serial, status.ok()); };
  }
  // Called in the order of the serials where they are of one volume.
  void Answered(uint64_t serial, bool granted) {
    const auto it =
        std::ranges::find_if(waiting_, [&](const Waiting& w) { return w.id == serial; });
    ASSERT_NE(it, waiting_.end());
    const Waiting w = *it;
    if (granted) {
      ++granted_;
      const bool is_first = std::ranges::none_of(
          waiting_, [&](const Waiting& o) { return o.volume == w.volume && o.id < w.id; });
      EXPECT_TRUE(is_first) << "volume " << w.volume << ": a later one was let in first";
      EXPECT_LE(w.bytes, FreeFor(w.volume));
      // By turn, unless it was its own.
      if (w.bytes > RestOf(w.volume)) {
        for (Waiting& o : waiting_) {
          if (o.volume == w.volume || !IsInReach(o) || !IsFirst(o)) continue;
          const uint64_t passed = ++o.passed[w.volume];
          longest_wait_ = std::max(longest_wait_, passed);
          EXPECT_LE(passed, 1U) << "volume " << w.volume << " has passed " << o.volume << " twice";
        }
      }
      Note(w.volume, w.bytes);
    } else {
      EXPECT_LE(w.deadline, now_);
    }
    std::erase_if(waiting_, [&](const Waiting& o) { return o.id == w.id; });
    if (granted && Any(8) == 0) GiveOne(pieces_.size() - 1);  // from within
  }
  [[nodiscard]] bool IsFirst(const Waiting& w) const {
    return std::ranges::none_of(
        waiting_, [&](const Waiting& o) { return o.volume == w.volume && o.id < w.id; });
  }
  void GiveOne(size_t index) {
    const auto [volume, bytes] = pieces_[index];
    pieces_.erase(pieces_.begin() + static_cast<ptrdiff_t>(index));
    held_.at(volume) -= bytes;
    budget_.Give(VolumeOf(volume), {bytes});
  }
  void Give() {
    if (!pieces_.empty()) GiveOne(Any(pieces_.size()));
  }
  void Cancel() {
    if (waiting_.empty()) return;
    const size_t index = Any(waiting_.size());
    const Budget::Id id = waiting_[index].id;
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(index));
    budget_.Cancel(id);
    Pump();
  }
  void Expire() {
    now_ += Any(20);
    budget_.Expire(Time(now_), [](Holder, uint64_t) { return std::string("late"); });
  }
  void Guarantee() {
    const uint64_t volume = Any(kVolumes);
    const uint64_t left = kLimit - budget_.guaranteed() + guaranteed_.at(volume);
    const uint64_t bytes = Any(2) == 0 ? 0 : Any(std::min(left, kLimit / 3) + 1);
    SetGuarantee(volume, bytes);
    Pump();
  }
  // What a guarantee puts out of reach, and what comes back into it, has no claim on a turn from before.
  void SetGuarantee(uint64_t volume, uint64_t bytes) {
    for (Waiting& w : waiting_) w.passed.clear();
    guaranteed_.at(volume) = bytes;
    budget_.Guarantee(VolumeOf(volume), bytes);
  }
  void Spare() {
    if (late_spare_ > 0) {
      budget_.DropSpare(std::exchange(late_spare_, 0));
      return Pump();
    }
    budget_.TryAddSpare(Any(kLimit / 4));
  }
  void Pump() { budget_.Pump(); }

  void Check() {
    uint64_t held = 0;
    uint64_t guaranteed = 0;
    for (uint64_t v = 0; v < kVolumes; ++v) {
      held += HeldBy(v);
      guaranteed += guaranteed_.at(v);
      EXPECT_EQ(budget_.HeldBy(VolumeOf(v)).bytes, HeldBy(v));
      EXPECT_EQ(budget_.FreeFor(VolumeOf(v)), FreeFor(v));
    }
    EXPECT_EQ(budget_.held(), held);
    EXPECT_EQ(budget_.guaranteed(), guaranteed);
    EXPECT_LE(budget_.held() + budget_.spare(), kLimit);
    EXPECT_EQ(budget_.waiting(), waiting_.size());
    // Of all that could be let in nobody waits: the one with the turn, and those within their own rests.
    if (late_spare_ > 0) return;
    const std::vector<const Waiting*> firsts = Firsts();
    const bool all_fit = std::ranges::all_of(
        firsts, [&](const Waiting* w) { return IsInReach(*w) && w->bytes <= FreeFor(w->volume); });
    EXPECT_FALSE(!firsts.empty() && all_fit) << "all fit, and nobody was let in";
    for (const Waiting* w : firsts) EXPECT_GT(w->bytes, std::min(RestOf(w->volume), Free()));
  }

  static os::TimePoint Time(uint64_t t) { return os::TimePoint(std::chrono::seconds(t)); }

  std::mt19937_64 random_;
  Budget budget_{kLimit};
  std::vector<uint64_t> held_ = std::vector<uint64_t>(kVolumes);
  std::vector<uint64_t> guaranteed_ = std::vector<uint64_t>(kVolumes);
  std::vector<std::pair<uint64_t, uint64_t>> pieces_;  // volume, bytes
  std::vector<Waiting> waiting_;                       // in the order they came
  uint64_t late_spare_ = 0;
  uint64_t now_ = 1;
  uint64_t serial_ = 0;
  uint64_t granted_ = 0;
  uint64_t longest_wait_ = 0;
};

TEST(BudgetModel, KeepsItsPromisesWhateverVolumesDo) {
  uint64_t granted = 0;
  uint64_t passed = 0;
  for (uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BudgetModel model(seed);
    for (int step = 0; step < 2500 && !::testing::Test::HasFailure(); ++step) model.Step();
    model.Finish();
    granted += model.granted();
    passed = std::max(passed, model.longest_wait());
  }
  EXPECT_GT(granted, 1000U);
  EXPECT_EQ(passed, 1U);  // the order is tried, not only kept
}

}  // namespace
}  // namespace vineyard::store
