// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// KeptAnswer: an answer that takes the instance some work, kept and given to everybody who asks, and asked for anew at
// most so often that the instance spends one part in fifty of its time on it, and only when somebody wants it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "http/answer.h"
#include "http/questions.h"
#include "http/server.h"

namespace vineyard::http {

/// That of an error of the instance.
Answer StatusAnswer(const Status& status);

class KeptAnswer {
 public:
  struct Fetched {
    uint64_t version = 0;
    std::string json;
  };
  using Fetch = std::function<Result<Fetched>()>;
  using Deliver = std::function<void(Server::Ticket ticket, Answer answer)>;

  /// `fetch` runs on the thread of `questions`; `deliver` is called from there. Both outlive this.
  KeptAnswer(Questions& questions, Fetch fetch, Deliver deliver)
      : questions_(questions), fetch_(std::move(fetch)), deliver_(std::move(deliver)) {}
  KeptAnswer(const KeptAnswer&) = delete;
  KeptAnswer& operator=(const KeptAnswer&) = delete;

  /// What is kept, where it is `wanted` (nullopt: it grows old by itself), or so young that it will do until the next
  /// one is there; 304 where it is what the asker has. nullopt: it is delivered to `ticket` later.
  std::optional<Answer> Get(std::optional<uint64_t> wanted, std::optional<uint64_t> since,
                            Server::Ticket ticket);

 private:
  using SteadyClock = std::chrono::steady_clock;

  // Both REQUIRE mutex_.
  [[nodiscard]] Answer Give(std::optional<uint64_t> since) const;
  bool AskForIt();
  void DoFetch();

  Questions& questions_;
  const Fetch fetch_;
  const Deliver deliver_;
  std::mutex mutex_;
  // All under mutex_.
  Body body_;  // null: nothing is kept
  uint64_t version_ = 0;
  SteadyClock::time_point fetched_{};
  SteadyClock::time_point next_{};
  bool fetching_ = false;
  std::vector<Server::Ticket> waiting_;
};

}  // namespace vineyard::http
