// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Questions: a thread that asks the instance what the sampler does not, one thing after the other, so that the server's
// thread never waits for an engine.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace vineyard::http {

class Questions {
 public:
  using Job = std::function<void()>;

  Questions() = default;
  Questions(const Questions&) = delete;
  Questions& operator=(const Questions&) = delete;
  /// What has not begun is not done any more.
  ~Questions();

  void Start();
  /// False: too many wait already.
  bool Ask(Job job);

 private:
  static constexpr size_t kMostWaiting = 32;

  void Run();

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;  // under mutex_
  bool stop_ = false;     // under mutex_
};

}  // namespace vineyard::http
