// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/copy_crew.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "client/fork.h"
#include "os/process.h"

namespace vineyard::client {

namespace {

constexpr std::chrono::seconds kPatience{2};

class Crew {
 public:
  Crew(uint64_t epoch, Crew* before) : epoch_(epoch), before_(before) {}
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

  void Run(size_t threads, const std::function<void(size_t)>& work) {
    {
      const std::lock_guard lock(mutex_);
      if (work_ != nullptr) threads = 1;
      if (threads > 1) {
        work_ = &work;
        next_ = 1;
        end_ = threads;
        Hire(threads - 1);
      }
    }
    if (threads <= 1) return work(0);
    wake_.notify_all();
    const Gathering gathering(*this);  // also when it throws: `work` lives no longer than this
    work(0);
  }

 private:
  struct Gathering {
    explicit Gathering(Crew& c) : crew(c) {}
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;
    ~Gathering() {
      std::unique_lock lock(crew.mutex_);
      crew.end_ = 0;  // whoever has not begun need not
      crew.done_.wait(lock, [this] { return crew.running_ == 0; });
      crew.work_ = nullptr;
    }
    Crew& crew;
  };

  // REQUIRES: mutex_ held. Where the process may have no more threads, fewer help.
  void Hire(size_t wanted) {
    const os::SignalsBlocked blocked;  // a program's signals are for its own threads
    try {
      for (; hired_ < wanted; ++hired_) std::thread([this] { Help(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void Help() {
    std::unique_lock lock(mutex_);
    const auto wanted = [this] { return next_ < end_; };
    while (wake_.wait_for(lock, kPatience, wanted)) {
      const size_t number = next_++;
      const auto& work = *work_;
      ++running_;
      lock.unlock();
      work(number);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
    --hired_;
  }

  const uint64_t epoch_;
  [[maybe_unused]] Crew* const before_;  // an ancestor's: nobody may touch it, but it is not lost
  std::mutex mutex_;                     // guards all below
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(size_t)>* work_ = nullptr;
  size_t next_ = 0;
  size_t end_ = 0;
  size_t running_ = 0;
  size_t hired_ = 0;
};

// Never destroyed: its threads may outlive whatever would destroy it. No lock, as another thread may hold
// one at the moment of a fork.
Crew& CrewOfThisProcess() {
  static std::atomic<Crew*> current{nullptr};
  const uint64_t epoch = ForkEpoch();
  Crew* crew = current.load(std::memory_order_acquire);
  while (crew == nullptr || crew->epoch() != epoch) {
    Crew* made = new Crew(epoch, crew);
    if (current.compare_exchange_strong(crew, made, std::memory_order_acq_rel)) return *made;
    delete made;
  }
  return *crew;
}

}  // namespace

void RunWithCrew(size_t threads, const std::function<void(size_t)>& work) {
  if (threads <= 1) return work(0);
  CrewOfThisProcess().Run(threads, work);
}

}  // namespace vineyard::client
