// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/kept_answer.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>

namespace vineyard::http {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kShortest{1'000};  // between two
constexpr milliseconds kYoung{5'000};
constexpr int kShare = 50;

}  // namespace

Answer StatusAnswer(const Status& status) {
  int number = 500;
  switch (status.code()) {
    case StatusCode::kInvalid: number = 400; break;
    case StatusCode::kPermissionDenied: number = 403; break;
    case StatusCode::kNotFound: number = 404; break;
    case StatusCode::kUnavailable:
    case StatusCode::kOutOfMemory:
    case StatusCode::kLimitExceeded: number = 503; break;
    case StatusCode::kDeadlineExceeded: number = 504; break;
    default: break;
  }
  std::string code(StatusCodeName(status.code()));
  std::ranges::replace(code, ' ', '_');
  return ErrorAnswer(number, code, status.message());
}

Answer KeptAnswer::Give(std::optional<uint64_t> since) const {
  Answer answer;
  if (since && *since == version_) {
    answer.status = 304;
  } else {
    answer.body = body_;
  }
  return answer;
}

std::optional<Answer> KeptAnswer::Get(std::optional<uint64_t> wanted, std::optional<uint64_t> since,
                                      Server::Ticket ticket) {
  const auto now = SteadyClock::now();
  const std::lock_guard lock(mutex_);
  if (body_) {
    const bool is_wanted = wanted && *wanted == version_;
    if (is_wanted || now < next_) return Give(since);
    if (now < fetched_ + kYoung) {
      AskForIt();  // if that is too much now, the next asker tries
      return Give(since);
    }
  }
  if (!AskForIt()) return ErrorAnswer(503, "busy", "too many questions wait; ask again");
  waiting_.push_back(ticket);
  return std::nullopt;
}

bool KeptAnswer::AskForIt() {
  if (fetching_) return true;
  fetching_ = questions_.Ask([this] { DoFetch(); });
  return fetching_;
}

void KeptAnswer::DoFetch() {
  const auto begun = SteadyClock::now();
  Result<Fetched> fetched = Status::Internal("not asked");
  try {
    fetched = fetch_();
  } catch (const std::bad_alloc&) {  // what was in the way of it is free again
    fetched =
        Status::OutOfMemory("the answer is larger than the memory that this process may have");
  }
  const auto now = SteadyClock::now();
  std::vector<Server::Ticket> tickets;
  Answer answer;
  {
    const std::lock_guard lock(mutex_);
    fetching_ = false;
    tickets.swap(waiting_);
    fetched_ = now;
    next_ = now + std::max<SteadyClock::duration>(kShortest, (now - begun) * (kShare - 1));
    if (fetched.ok()) {
      version_ = fetched->version;
      body_ = std::make_shared<const std::string>(std::move(fetched->json));
      answer = Give(std::nullopt);
    } else {
      body_ = nullptr;
      answer = StatusAnswer(fetched.status());
    }
  }
  for (const Server::Ticket ticket : tickets) deliver_(ticket, answer);
}

}  // namespace vineyard::http
