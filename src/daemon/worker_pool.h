// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// WorkerPool: the engine's threads for what may take long. (asio's own, refused one of its threads, waits for ever for
// those that it has.)
#pragma once

#define ASIO_STANDALONE
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "os/process.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

class WorkerPool {
 public:
  /// kLimitExceeded where the process may have no more threads.
  static Result<std::unique_ptr<WorkerPool>> Start(unsigned threads) {
    std::unique_ptr<WorkerPool> pool(new WorkerPool());
    const os::SignalsBlocked blocked;
    try {
      for (unsigned i = 0; i < threads; ++i) {
        pool->threads_.emplace_back([&io = pool->io_] { io.run(); });
      }
    } catch (const std::system_error& error) {
      return Status::LimitExceeded(std::string("no threads: ") + error.what());
    }
    return pool;
  }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool() { Join(); }

  template <typename Work>
  void Post(Work work) {
    asio::post(io_, std::move(work));
  }
  /// Once all that was posted is done.
  void Join() {
    more_may_come_.reset();
    for (std::thread& thread : std::exchange(threads_, {})) thread.join();
  }

 private:
  WorkerPool() : more_may_come_(io_.get_executor()) {}

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> more_may_come_;
  std::vector<std::thread> threads_;
};

}  // namespace vineyard::daemon
