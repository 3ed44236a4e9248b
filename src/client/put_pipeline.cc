// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Puts that are sent one after another. Small ones do not wait; a large one waits for its memory anyway.
#include <deque>

#include <fmt/format.h>

#include "client/call_stream.h"
#include "client/fork.h"
#include "client/impl.h"
#include "client/prepared_put.h"

namespace vineyard {

using client::Answer;
using client::Connection;
using client::Outgoing;
using client::PreparedPut;

class PutPipeline::State {
 public:
  State(std::shared_ptr<Client::Impl> impl, const CallOptions& options)
      : impl_(std::move(impl)), connection_(impl_->connection()),
        deadline_(connection_.Deadline(options.timeout)),
        stream_(connection_, client::WithGrace(deadline_),
                [this](const Result<Answer>& answer) { Landed(answer); }) {}

  void Add(const ObjectBuilder& builder, std::string&& name) {
    const size_t place = ids_.size();
    ids_.emplace_back(ObjectId());  // until it has landed
    if (InAChild()) {
      ids_.back() = Status::FailedPrecondition("puts that were begun before a fork");
      return;
    }
    Flight& flight = flights_.emplace_back(place);
    PreparedPut& put = flight.put;
    put.options.name = std::move(name);
    put.deadline = deadline_;
    if (Status s = client::Prepare(connection_, builder, &put); !s.ok()) {
      ids_[place] = s;
    } else if (put.small && put.in_place.empty()) {
      flight.request = put.Request(ObjectId());
      return stream_.Add(flight.request);
    } else {
      ids_[place] = client::SendPut(connection_, builder, &put);
    }
    flights_.pop_back();
  }

  std::vector<Result<ObjectId>> Finish() {
    if (!InAChild()) stream_.Finish();
    return std::exchange(ids_, {});
  }

 private:
  struct Flight {
    explicit Flight(size_t p) : place(p) {}
    size_t place;
    PreparedPut put;
    Outgoing request;
  };

  /// The parent goes on with what it had sent.
  [[nodiscard]] bool InAChild() const { return epoch_ != client::ForkEpoch(); }
  void Landed(const Result<Answer>& answer) {
    ids_[flights_.front().place] = client::IdOf(answer);
    flights_.pop_front();
  }

  const std::shared_ptr<Client::Impl> impl_;
  Connection& connection_;
  const uint64_t epoch_ = client::ForkEpoch();
  const os::TimePoint deadline_;
  std::vector<Result<ObjectId>> ids_;
  std::deque<Flight> flights_;  // sent, and not landed
  client::CallStream stream_;
};

PutPipeline::PutPipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
PutPipeline::PutPipeline(PutPipeline&&) noexcept = default;
PutPipeline& PutPipeline::operator=(PutPipeline&& other) noexcept {
  if (state_ != nullptr && this != &other) state_->Finish();
  state_ = std::move(other.state_);
  return *this;
}
PutPipeline::~PutPipeline() {
  if (state_ != nullptr) state_->Finish();
}

void PutPipeline::Add(const ObjectBuilder& builder, std::string name) {
  state_->Add(builder, std::move(name));
}

std::vector<Result<ObjectId>> PutPipeline::Finish() { return state_->Finish(); }

PutPipeline Client::StartPuts(const CallOptions& options) {
  return PutPipeline(std::make_unique<PutPipeline::State>(impl_, options));
}

std::vector<Result<ObjectId>> Client::PutMany(std::span<const ObjectBuilder> builders,
                                              std::span<const std::string> names,
                                              const CallOptions& options) {
  if (!names.empty() && names.size() != builders.size()) {
    const Status refused =
        Status::Invalid(fmt::format("{} names for {} objects", names.size(), builders.size()));
    return std::vector<Result<ObjectId>>(builders.size(), refused);
  }
  PutPipeline puts = StartPuts(options);
  for (size_t i = 0; i < builders.size(); ++i) {
    puts.Add(builders[i], names.empty() ? std::string() : names[i]);
  }
  return puts.Finish();
}

}  // namespace vineyard
