// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/questions.h"

#include <utility>

namespace vineyard::http {

Questions::~Questions() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Questions::Start() {
  thread_ = std::thread([this] { Run(); });
}

bool Questions::Ask(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= kMostWaiting) return false;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_all();
  return true;
}

void Questions::Run() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
  }
}

}  // namespace vineyard::http
