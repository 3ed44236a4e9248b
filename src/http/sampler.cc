// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/sampler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "http/metrics.h"

namespace vineyard::http {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kPeriod{1'000};
constexpr milliseconds kPatience{1'500};  // with each of the questions
// A sample is to take one hundredth of the time, also where it takes long.
constexpr int kShare = 100;
constexpr milliseconds kLongestPeriod{5'000};
// How long after the next one was due what is known still counts.
constexpr milliseconds kGrace{3'000};

std::shared_ptr<const Outlook> Silence(std::string why) {
  auto outlook = std::make_shared<Outlook>();
  outlook->why_not = std::move(why);
  outlook->metrics = std::make_shared<const std::string>(MetricsText(nullptr));
  return outlook;
}

}  // namespace

// Versions begin at the time of day: a page that knows one of a process before this one is not to take it for one of
// this one's.
Sampler::Sampler(std::string socket)
    : socket_(std::move(socket)), outlook_(Silence("the instance has not been asked yet")),
      silent_(Silence("the instance does not answer")),
      version_(static_cast<uint64_t>(UnixMilliseconds())) {}

Sampler::~Sampler() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Sampler::Start() {
  thread_ = std::thread([this] { Run(); });
}

std::shared_ptr<const Outlook> Sampler::Look() const {
  const std::lock_guard lock(mutex_);
  return outlook_->ready && SteadyClock::now() > good_until_ ? silent_ : outlook_;
}

void Sampler::Run() {
  while (true) {
    const auto begun = SteadyClock::now();
    const Result<Sample> asked = Ask();
    const auto took = SteadyClock::now() - begun;
    // Where it did not answer, what it took tells nothing of what it cost.
    const auto pause =
        asked.ok() ? std::clamp<SteadyClock::duration>(took * kShare, kPeriod, kLongestPeriod)
                   : SteadyClock::duration(kPeriod);
    Publish(asked, SteadyClock::now() + pause + kGrace);
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, pause, [this] { return stop_; })) return;
  }
}

Result<Sample> Sampler::Ask() {
  if (!client_) {
    auto client = Client::Connect({.socket = socket_, .timeout = kPatience});
    if (!client.ok()) return std::move(client).status();
    client_.emplace(std::move(client).value());
  }
  return TakeSample(*client_);
}

// Another number whenever objects or names may be others, or lie elsewhere.
uint64_t Sampler::VersionOf(const Sample& sample) {
  const Figures& figures = sample.figures;
  std::string of = fmt::format("{} {} {}", figures.generation, figures.evictions, figures.loads);
  for (const VolumeFigures& volume : figures.volumes) {
    fmt::format_to(std::back_inserter(of), " {} {} {}", volume.name, volume.changes,
                   volume.spilled);
  }
  if (of != version_of_) {
    version_of_ = std::move(of);
    ++version_;
  }
  return version_;
}

void Sampler::Publish(const Result<Sample>& asked, SteadyClock::time_point good_until) {
  const auto now = SteadyClock::now();
  const Sample* sample = asked.ok() ? &asked.value() : nullptr;
  if (now >= next_point_) {
    history_.Add(sample, UnixMilliseconds());
    next_point_ = std::max(next_point_ + History::kStep, now);
  }
  auto outlook = std::make_shared<Outlook>();
  outlook->history = std::make_shared<const std::string>(history_.Json());
  outlook->metrics = std::make_shared<const std::string>(MetricsText(sample));
  if (sample == nullptr) {
    outlook->why_not = asked.status().message();
  } else {
    outlook->ready = true;
    outlook->sample = std::make_shared<const Sample>(*sample);
    outlook->objects_version = VersionOf(*sample);
    outlook->state =
        std::make_shared<const std::string>(StateJson(*sample, socket_, outlook->objects_version));
  }
  const std::lock_guard lock(mutex_);
  if (outlook_->ready != outlook->ready) {
    log::Debug("what HTTP tells of the instance",
               {{"ready", outlook->ready}, {"why", outlook->why_not}});
  }
  outlook_ = std::move(outlook);
  good_until_ = good_until;
}

}  // namespace vineyard::http
