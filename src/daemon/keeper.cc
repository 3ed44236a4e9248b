// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/keeper.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/logging.h"
#include "daemon/keeper_loop.h"
#include "os/process.h"
#include "os/random.h"
#include "os/sandbox.h"
#include "os/socket.h"

namespace vineyard::daemon {

using std::chrono::milliseconds;

namespace {

// Between two tries to send where the kernel was short of something.
constexpr milliseconds kBusyPause{10};
// Packets read before anything else gets its turn.
constexpr int kPacketsATurn = 256;

}  // namespace

int Keeper::Run() {
  if (Status begun = Begin(); !begun.ok()) {
    const bool cancelled = begun.Is(StatusCode::kCancelled);
    if (!cancelled) log::Error("cannot begin", {{"why", begun.message()}});
    CleanUp();
    return cancelled ? 0 : 1;
  }
  while (!finished_) Turn();
  CleanUp();
  return exit_code_;
}

Status Keeper::Begin() {
  os::FillStandardDescriptors();
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);  // a starter that ignores it would have our children unwaitable
  os::RaiseFdLimit();
  VY_ASSIGN_OR_RETURN(signals_, os::WatchSignals({SIGTERM, SIGINT}));
  VY_RETURN_IF_ERROR(WatchParent());
  VY_ASSIGN_OR_RETURN(uuid_, os::MakeUuid());
  VY_RETURN_IF_ERROR(OpenSocket());
  VY_RETURN_IF_ERROR(OpenHttp());
  if (options_.sandbox) VY_RETURN_IF_ERROR(os::GiveUpKeepersRights());
  return StartEngine();
}

Status Keeper::WatchParent() {
  if (!options_.exit_with_parent) return {};
  const pid_t pid = *options_.exit_with_parent;
  auto pidfd = os::OpenPidFd(pid);
  if (pidfd.ok()) {
    parent_ = std::move(pidfd).value();
    return {};
  }
  if (::kill(pid, 0) != 0 && errno == ESRCH) return Status::Cancelled("the parent has ended");
  return std::move(pidfd).status();
}

Status Keeper::OpenSocket() {
  const auto interrupted = [this] {
    return os::NextSignal(signals_) != 0 || (parent_.valid() && os::HasEnded(parent_));
  };
  VY_ASSIGN_OR_RETURN(socket_,
                      InstanceSocket::Open(options_.socket, options_.socket_mode, interrupted));
  KeeperMessage listener;
  listener.kind = KeptKind::kListener;
  listener.a = kFirstVolume;
  VY_RETURN_IF_ERROR(items_.Hold(listener, socket_.TakeListener()));
  if (options_.read_only_socket.empty()) return {};
  VY_ASSIGN_OR_RETURN(readers_, InstanceSocket::Open(options_.read_only_socket,
                                                     options_.read_only_socket_mode, interrupted));
  listener.b = 1;
  return items_.Hold(listener, readers_.TakeListener());
}

Status Keeper::OpenHttp() {
  if (!options_.http) return {};
  VY_ASSIGN_OR_RETURN(os::UniqueFd listener, os::ListenTcp(*options_.http));
  VY_ASSIGN_OR_RETURN(const os::TcpAddress address, os::BoundTcpAddress(listener));
  log::Info("HTTP is answered", {{"address", address.ToString()}});
  http_ = std::make_unique<HttpProcess>(options_.engine_command, std::move(listener));
  return {};
}

// REQUIRES: no engine runs. Those sockets of volumes go that nobody listens on any more.
void Keeper::CleanUp() {
  trial_.reset();
  http_.reset();
  const std::vector<std::string> paths = items_.ListenerPaths(kFirstVolume);
  items_.Clear();
  for (const std::string& path : paths) os::RemoveDeadSocket(path);
  readers_.Remove();
  socket_.Remove();
}

void Keeper::Stop(std::string_view why) {
  if (stopping_) return;
  log::Info("instance ends", {{"why", why}});
  stopping_ = true;
  start_at_.reset();
  http_.reset();
  if (!engine_) {
    finished_ = true;
    return;
  }
  engine_->Signal(SIGTERM);
  kill_at_ = os::Clock::now() + kStopPatience;
}

void Keeper::KillEngine() {
  kill_at_.reset();
  if (engine_) engine_->Signal(SIGKILL);
}

int Keeper::PollTimeout() const {
  std::optional<os::TimePoint> next = start_at_;
  if (trial_ && (!next || trial_->deadline() < *next)) next = trial_->deadline();
  const std::optional<os::TimePoint> http = http_ ? http_->start_at() : std::nullopt;
  if (http && (!next || *http < *next)) next = http;
  if (kill_at_ && (!next || *kill_at_ < *next)) next = kill_at_;
  const bool ending = stopping_ || kill_at_;
  const std::optional<os::TimePoint> look = ending ? std::nullopt : succession_.NextLook();
  if (look && (!next || *look < *next)) next = look;
  if (engine_ && engine_->waits_for_kernel()) {
    const os::TimePoint retry = os::Clock::now() + kBusyPause;
    if (!next || retry < *next) next = retry;
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*next - os::Clock::now());
  return static_cast<int>(std::max(left, milliseconds(0)).count());
}

// Sleeps until something happens, and handles it.
void Keeper::Turn() {
  enum { kSignals, kParent, kSocket, kEnd, kTrial, kHttp, kCount };
  std::array<pollfd, kCount> fds{};  // poll() skips those with a negative descriptor
  for (pollfd& entry : fds) entry = {.fd = -1, .events = POLLIN, .revents = 0};
  fds[kSignals].fd = signals_.get();
  if (!stopping_) fds[kParent].fd = parent_.get();
  if (trial_) fds[kTrial].fd = trial_->end();
  if (http_) fds[kHttp].fd = http_->end();
  if (engine_) {
    fds[kEnd].fd = engine_->end();
    fds[kSocket].fd = engine_->socket();
    if (engine_->waits_for_room()) fds[kSocket].events |= POLLOUT;
  }
  if (::poll(fds.data(), fds.size(), PollTimeout()) < 0) return;  // EINTR: nothing has happened

  if (fds[kSignals].revents != 0) HandleSignals();
  if (fds[kParent].revents != 0) Stop("the process it belongs to has ended");
  if (fds[kSocket].revents != 0) {
    for (int i = 0; i < kPacketsATurn && HearEngine(); ++i) {
    }
  }
  if (engine_) engine_->Flush();
  if (trial_ && (fds[kTrial].revents != 0 || os::Clock::now() >= trial_->deadline())) FinishTrial();
  if (http_ && fds[kHttp].revents != 0) http_->HandleEnd(os::Clock::now());
  if (fds[kEnd].revents != 0) HandleEngineEnd();
  HandleTimers();
}

void Keeper::HandleSignals() {
  while (os::NextSignal(signals_) != 0) {
    if (++signals_seen_ == 1) {
      Stop("asked to by a signal");
    } else {
      KillEngine();
    }
  }
}

void Keeper::HandleTimers() {
  const os::TimePoint now = os::Clock::now();
  if (engine_ && kill_at_ && now >= *kill_at_) {
    log::Warning("engine does not end by itself and is killed", {{"pid", engine_->pid()}});
    KillEngine();
  }
  if (engine_ && !stopping_) LookAtProgram(now);
  if (http_) http_->StartIfDue(now);
  if (start_at_ && now >= *start_at_) {
    start_at_.reset();
    if (Status started = StartEngine(); !started.ok()) {
      engine_.reset();
      const milliseconds pause = succession_.CouldNotStart();
      StartEngineAfter(pause);
      log::Error("cannot start an engine",
                 {{"why", started.message()}, {"next_try_ms", pause.count()}});
    }
  }
}

int RunKeeper(const KeeperOptions& options) { return Keeper(options).Run(); }

}  // namespace vineyard::daemon
