// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Sampler: a thread that asks the instance for its figures once a second, and writes down all that is told of them, so
// that who asks over HTTP costs the engine nothing however often he does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "http/answer.h"
#include "http/history.h"
#include "http/sample.h"
#include "vineyard/client.h"

namespace vineyard::http {

/// What there is to tell, as of one moment.
struct Outlook {
  bool ready = false;                    ///< the instance answered when it was asked last
  std::string why_not;                   ///< one line
  std::shared_ptr<const Sample> sample;  ///< null: it does not answer
  uint64_t objects_version = 0;
  Body state;
  Body metrics;
  Body history;
};

class Sampler {
 public:
  explicit Sampler(std::string socket);
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  ~Sampler();

  void Start();
  /// From any thread. Not ready when the instance has not answered for some seconds, whatever it said before.
  [[nodiscard]] std::shared_ptr<const Outlook> Look() const;

 private:
  void Run();
  Result<Sample> Ask();
  [[nodiscard]] uint64_t VersionOf(const Sample& sample);
  void Publish(const Result<Sample>& asked, std::chrono::steady_clock::time_point good_until);

  const std::string socket_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;                       // under mutex_
  std::shared_ptr<const Outlook> outlook_;  // under mutex_
  std::shared_ptr<const Outlook>
      silent_;  // what is told when outlook_ has grown old; never changes
  std::chrono::steady_clock::time_point good_until_{};  // under mutex_

  // The thread's own.
  std::optional<Client> client_;
  History history_;
  std::chrono::steady_clock::time_point next_point_{};
  uint64_t version_;
  std::string version_of_;
};

/// As GET /api/v1/state answers.
std::string StateJson(const Sample& sample, const std::string& socket, uint64_t objects_version);

}  // namespace vineyard::http
