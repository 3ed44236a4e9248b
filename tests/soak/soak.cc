// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/soak.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "os/process.h"

namespace vineyard::soak {

namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// No client may be silent for so long: more than the deadline of a request.
constexpr milliseconds kPatience{150'000};
constexpr double kMiB = 1 << 20;

double SecondsSince(os::TimePoint begin) {
  return std::chrono::duration<double>(os::Clock::now() - begin).count();
}

}  // namespace

Soak::Soak(const SoakOptions& options, Instance& instance, Judge judge, std::span<Seat> seats,
           std::string seats_path)
    : options_(options), instance_(instance), judge_(std::move(judge)), seats_(seats),
      seats_path_(std::move(seats_path)), random_(options.seed), processes_(options.clients),
      answers_(options.clients) {
  next_engine_ = After(options_.engine_pause);
  next_client_ = After(options_.client_pause);
}

Soak::~Soak() {
  for (Process& process : processes_) {
    if (process.pid <= 0) continue;
    ::kill(process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
  }
}

os::TimePoint Soak::After(double seconds) {
  const double pause = std::exponential_distribution<double>(1 / seconds)(random_);
  return os::Clock::now() +
         duration_cast<os::Clock::duration>(std::chrono::duration<double>(pause));
}

uint64_t Soak::operations() const {
  uint64_t sum = 0;
  for (const Seat& seat : seats_) sum += seat.tally.operations();
  return sum;
}

bool Soak::IsDone() const {
  return operations() >= options_.operations && generation_ > options_.engine_kills &&
         client_deaths_ >= options_.client_kills;
}

Status Soak::Run() {
  VY_RETURN_IF_ERROR(judge_.Begin());
  os::TimePoint shown = begin_;
  for (uint64_t round = 1; !IsDone(); ++round) {
    VY_RETURN_IF_ERROR(Round());
    if (options_.forget) VY_RETURN_IF_ERROR(Forget());
    VY_RETURN_IF_ERROR(judge_.Check());
    if (round % options_.clear == 0 || IsDone()) {
      VY_RETURN_IF_ERROR(StartMissing());
      VY_RETURN_IF_ERROR(Ask({Message::What::kDeleteAll, 0}));
      VY_RETURN_IF_ERROR(judge_.CheckEmpty());
      ++clearings_;
    }
    if (SecondsSince(shown) > 10) {
      shown = os::Clock::now();
      Report("so far");
    }
  }
  Report("done");
  return {};
}

Status Soak::Round() {
  VY_RETURN_IF_ERROR(StartMissing());
  for (uint32_t who = 0; who < seats_.size(); ++who) {
    VY_RETURN_IF_ERROR(Tell(who, {Message::What::kWork, options_.round}));
  }
  VY_RETURN_IF_ERROR(AwaitAll(true));
  VY_RETURN_IF_ERROR(Quiesce());
  for (uint32_t who = 0; who < seats_.size(); ++who) {
    if (processes_[who].pid < 0) VY_RETURN_IF_ERROR(judge_.Settle(seats_[who]));
  }
  return Ask({Message::What::kCheckAll, 0});
}

// Until one engine serves all that live, and none that is dead: what those had sent has been carried out then.
// Engines die at their places meanwhile, and only who asks connects again.
Status Soak::Quiesce() {
  const os::TimePoint end = os::Clock::now() + kPatience;
  while (true) {
    VY_RETURN_IF_ERROR(Ask({Message::What::kGeneration, 0}));
    // After the question: who was killed just behind its last answer is found dead by it.
    const auto living = static_cast<uint64_t>(
        std::ranges::count_if(processes_, [](const auto& p) { return p.pid > 0; }));
    VY_ASSIGN_OR_RETURN(const Judge::Served now, judge_.WhoIsServed());
    generation_ = std::max(generation_, now.generation);
    bool same = now.clients == living;
    for (uint32_t who = 0; who < seats_.size(); ++who) {
      if (processes_[who].pid > 0 && answers_[who] != now.generation) same = false;
    }
    if (same) return {};
    if (os::Clock::now() > end) {
      return Status::Internal(
          fmt::format("{} clients are connected, and {} live", now.clients, living));
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
}

Status Soak::Forget() {
  const Seat& seat = seats_[random_() % seats_.size()];
  if (seat.models[0].objects().empty()) return {};
  return judge_.client().Delete({ObjectId(seat.models[0].objects()[0].id)}).status();
}

// ---- processes

Status Soak::StartMissing() {
  VY_ASSIGN_OR_RETURN(const std::string program, os::ProgramPath());
  for (uint32_t who = 0; who < seats_.size(); ++who) {
    Process& process = processes_[who];
    if (process.pid > 0) continue;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return Status::IOError("no socket for a client");
    }
    const os::UniqueFd theirs(ends[1]);
    const uint64_t share = (options_.live_mib << 20) / options_.clients;
    process = {.line = os::UniqueFd(ends[0])};
    process.pid =
        Start({.command = {program, "worker", instance_.socket(), seats_path_, std::to_string(who),
                           std::to_string(theirs.get()), std::to_string(random_()),
                           std::to_string(share), std::to_string(options_.large)},
               .environment = {},
               .log = {},
               .kept_fd = theirs.get()});
  }
  return {};
}

Status Soak::Tell(uint32_t who, Message message) {
  // One that has just been killed hears nothing; its end is seen when it does not answer.
  (void)!::send(processes_[who].line.get(), &message, sizeof message, MSG_NOSIGNAL);
  processes_[who].busy = true;
  return {};
}

Status Soak::Ask(Message message) {
  for (uint32_t who = 0; who < seats_.size(); ++who) {
    if (processes_[who].pid > 0) VY_RETURN_IF_ERROR(Tell(who, message));
  }
  return AwaitAll(false);
}

Status Soak::AwaitAll(bool kill) {
  os::TimePoint heard = os::Clock::now();
  while (true) {
    std::vector<pollfd> waiting;
    std::vector<uint32_t> whose;
    for (uint32_t who = 0; who < processes_.size(); ++who) {
      if (!processes_[who].busy) continue;
      waiting.push_back({processes_[who].line.get(), POLLIN, 0});
      whose.push_back(who);
    }
    if (waiting.empty()) return {};
    if (kill) KillWhatIsDue();
    const int ready = ::poll(waiting.data(), waiting.size(), kill ? 2 : 1000);
    if (ready > 0) heard = os::Clock::now();
    if (os::Clock::now() - heard > kPatience) {
      const Operation& o = seats_[whose[0]].operation;
      return Status::DeadlineExceeded(
          fmt::format("client {} hangs; its last change is '{}'", whose[0], KindName(o.what)));
    }
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents != 0) VY_RETURN_IF_ERROR(ReadAnswer(whose[i]));
    }
  }
}

Status Soak::ReadAnswer(uint32_t who) {
  Process& process = processes_[who];
  process.busy = false;
  const ssize_t got = ::recv(process.line.get(), &answers_[who], sizeof answers_[who], MSG_WAITALL);
  if (got == ssize_t{sizeof answers_[who]}) return {};
  VY_ASSIGN_OR_RETURN(const os::ProcessEnd end, os::Reap(std::exchange(process.pid, -1)));
  if (end.by_signal && end.code == SIGKILL) {
    ++client_deaths_;
    return {};
  }
  return Status::Internal(fmt::format(
      "client {}: {}", who,
      end.by_signal ? fmt::format("signal {}", end.code) : std::string(seats_[who].failure)));
}

void Soak::KillWhatIsDue() {
  const os::TimePoint now = os::Clock::now();
  if (now >= next_engine_) {
    next_engine_ = After(options_.engine_pause);
    const bool more = generation_ <= options_.engine_kills;
    if (more && instance_.KillEngine()) ++random_kills_;
  }
  if (now >= next_client_) {
    next_client_ = After(options_.client_pause);
    const uint32_t who = static_cast<uint32_t>(random_() % processes_.size());
    const bool more = client_deaths_ < options_.client_kills;
    if (more && processes_[who].busy) ::kill(processes_[who].pid, SIGKILL);
  }
}

void Soak::Report(const char* what) const {
  const double seconds = SecondsSince(begin_);
  const auto all = static_cast<double>(operations());
  fmt::print(
      "soak: {}: {:.0f} operations in {:.0f} s ({:.0f} a second), {} checks, {} times all deleted; "
      "died: {} engines ({} killed at random), {} clients; resident memory less 1.1 x live: "
      "{:.1f} MiB at most\n",
      what, all, seconds, all / seconds, judge_.checks(), clearings_, generation_ - 1,
      random_kills_, client_deaths_, static_cast<double>(judge_.worst_bytes()) / kMiB);
  std::fflush(stdout);
}

}  // namespace vineyard::soak
