// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/keeper.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/instance_socket.h"
#include "daemon/keeper_protocol.h"
#include "daemon/kept_items.h"
#include "daemon/program_trial.h"
#include "os/fd.h"
#include "os/packet.h"
#include "os/process.h"
#include "os/random.h"
#include "os/sandbox.h"
#include "os/socket.h"

namespace vineyard::daemon {

namespace {

using std::chrono::milliseconds;

// What an engine may take to end when asked to. Then it is killed.
constexpr std::chrono::seconds kStopPatience{10};
// The pause before a new engine where the last one died before it served; doubles up to the second.
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};
// The same where engines serve for less than the time, and end by a fault: nobody gains from ten of them in a second.
constexpr std::chrono::seconds kLongEnough{10};
constexpr milliseconds kLongestPauseAfterFaults{2000};
// So many engines in a row end before they serve: then the program that served last has its turn.
constexpr int kFailuresOfProgram = 2;
// Between two tries to send where the kernel was short of something.
constexpr milliseconds kBusyPause{10};
// Packets read before anything else gets its turn.
constexpr int kPacketsATurn = 256;

bool IsFault(const os::ProcessEnd& end) {
  if (!end.by_signal) return end.code != 0;
  constexpr std::array kFaults{SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGTRAP};
  return std::ranges::find(kFaults, end.code) != kFaults.end();
}

std::string Describe(const os::ProcessEnd& end) {
  if (!end.by_signal) return fmt::format("exit code {}", end.code);
  return fmt::format("signal {} ({})", end.code, ::strsignal(end.code));
}

// A running engine, as its keeper sees it.
struct Engine {
  pid_t pid = -1;
  os::UniqueFd pidfd;
  os::UniqueFd socket;
  bool socket_ended = false;
  os::UniqueFd program;  // what it runs
  bool ready = false;
  os::TimePoint ready_at;
  // What the socket had no room for. A kItem's descriptor is looked up when it is sent.
  std::deque<KeeperMessage> outgoing;
  uint64_t items_sent = 0;
  bool busy = false;  // the kernel was short of something: try again after a pause
};

class Keeper {
 public:
  explicit Keeper(const KeeperOptions& options) : options_(options) {}
  int Run();

 private:
  Status Begin();
  Status WatchParent();
  Status OpenSocket();
  void CleanUp();

  Status StartEngine();
  void StartEngineLater();
  void Stop(std::string_view why);
  void KillEngine();
  void Try(const KeeperMessage& message);
  void FinishTrial();
  /// How long to wait after an engine that has served.
  milliseconds PauseAfter(const os::ProcessEnd& end);

  void Turn();
  [[nodiscard]] int PollTimeout() const;
  void HandleSignals();
  void HandleTimers();
  bool ReadPacket();
  void HandleMessage(const KeeperMessage& message, os::Packet packet);
  void Answer(KeeperOp op, const KeeperMessage& to, StatusCode outcome);
  void Flush();
  void HandleEngineEnd();

  const KeeperOptions& options_;
  os::UniqueFd signals_;
  os::UniqueFd parent_;  // a pidfd
  InstanceSocket socket_;
  InstanceSocket readers_;  // the read-only one, if there is one
  KeptItems items_;
  std::array<uint64_t, 2> uuid_{};

  std::optional<Engine> engine_;
  uint64_t generation_ = 0;  // of the engine started last
  KeeperStart start_ = KeeperStart::kFirst;
  bool ever_ready_ = false;
  milliseconds pause_{0};
  milliseconds pause_after_faults_{0};
  int failures_ = 0;           // engines in a row that ended before they served
  os::UniqueFd good_program_;  // of the engine that served last
  Formats formats_;            // likewise
  std::unique_ptr<ProgramTrial> trial_;
  std::optional<os::TimePoint> start_at_;
  std::optional<os::TimePoint> kill_at_;
  int signals_seen_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
  int exit_code_ = 0;
};

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

// REQUIRES: no engine runs. Those sockets of volumes go that nobody listens on any more.
void Keeper::CleanUp() {
  trial_.reset();
  const std::vector<std::string> paths = items_.ListenerPaths(kFirstVolume);
  items_.Clear();
  for (const std::string& path : paths) os::RemoveDeadSocket(path);
  readers_.Remove();
  socket_.Remove();
}

Status Keeper::StartEngine() {
  VY_ASSIGN_OR_RETURN(auto ends, os::PacketPair());
  const int theirs = ends.second.get();
  const bool former = good_program_.valid() && failures_ >= kFailuresOfProgram &&
                      failures_ % kFailuresOfProgram == 0;
  Engine engine;
  auto program = former ? good_program_.Duplicate() : os::OpenProgram(options_.engine_command[0]);
  if (program.ok()) engine.program = std::move(program).value();  // else starting it says why
  VY_ASSIGN_OR_RETURN(const pid_t pid,
                      os::Spawn({.command = options_.engine_command,
                                 .environment = {{kEngineFdVariable, std::to_string(theirs)},
                                                 {kEngineVariable, "1"}},
                                 .inherited_fd = theirs,
                                 .program = former ? engine.program.get() : -1}));
  if (former) {
    log::Error("the program does not get so far as to serve; the one that served before runs again",
               {{"program", options_.engine_command[0]}});
  }
  engine.pid = pid;
  engine.socket = std::move(ends.first);
  auto pidfd = os::OpenPidFd(pid);
  if (!pidfd.ok()) {
    ::kill(pid, SIGKILL);
    os::Reap(pid).status().IgnoreError();  // nothing is known of an engine that never ran
    return std::move(pidfd).status();
  }
  engine.pidfd = std::move(pidfd).value();

  KeeperMessage hello{.op = KeeperOp::kHello};
  hello.a = ++generation_;
  hello.b = static_cast<uint64_t>(start_);
  hello.c = uuid_[0];
  hello.d = uuid_[1];
  hello.e = os::FdLimit();
  hello.f = former ? 1 : 0;
  engine.outgoing.push_back(hello);
  for (const KeeperMessage& item : items_.Inventory()) engine.outgoing.push_back(item);
  engine.outgoing.push_back({.op = KeeperOp::kInventoryEnd});
  engine_ = std::move(engine);
  Flush();
  return {};
}

void Keeper::StartEngineLater() {
  pause_ = pause_.count() == 0 ? kFirstPause : std::min(2 * pause_, kLongestPause);
  start_at_ = os::Clock::now() + pause_;
}

void Keeper::Stop(std::string_view why) {
  if (stopping_) return;
  log::Info("instance ends", {{"why", why}});
  stopping_ = true;
  start_at_.reset();
  if (!engine_) {
    finished_ = true;
    return;
  }
  ::kill(engine_->pid, SIGTERM);
  kill_at_ = os::Clock::now() + kStopPatience;
}

void Keeper::KillEngine() {
  kill_at_.reset();
  if (engine_) ::kill(engine_->pid, SIGKILL);
}

// ---- a program that is to take over

void Keeper::Try(const KeeperMessage& message) {
  const auto answer = [&](TrialOutcome outcome) {
    KeeperMessage tried{.op = KeeperOp::kTried, .sequence = message.sequence};
    tried.c = static_cast<uint64_t>(outcome);
    engine_->outgoing.push_back(tried);
    Flush();
  };
  if (trial_ != nullptr || stopping_) return answer(TrialOutcome::kBusy);
  auto trial = ProgramTrial::Start(options_.engine_command, message.sequence,
                                   os::Clock::now() + options_.trial_patience);
  if (trial.ok()) {
    trial_ = std::move(trial).value();
    return;
  }
  log::Error("cannot try a program", {{"why", trial.status().message()}});
  answer(TrialOutcome::kNotStarted);
}

// REQUIRES: it has ended, or its time is up.
void Keeper::FinishTrial() {
  const ProgramTrial::Verdict verdict = trial_->Finish(formats_);
  KeeperMessage tried{.op = KeeperOp::kTried, .sequence = trial_->sequence()};
  tried.c = static_cast<uint64_t>(verdict.outcome);
  tried.d = verdict.detail;
  trial_.reset();
  log::Info("a program was tried", {{"program", options_.engine_command[0]},
                                    {"good", verdict.outcome == TrialOutcome::kGood}});
  if (!engine_) return;
  engine_->outgoing.push_back(tried);
  Flush();
}

int Keeper::PollTimeout() const {
  std::optional<os::TimePoint> next = start_at_;
  if (trial_ && (!next || trial_->deadline() < *next)) next = trial_->deadline();
  if (kill_at_ && (!next || *kill_at_ < *next)) next = kill_at_;
  if (engine_ && engine_->busy) {
    const os::TimePoint retry = os::Clock::now() + kBusyPause;
    if (!next || retry < *next) next = retry;
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*next - os::Clock::now());
  return static_cast<int>(std::max(left, milliseconds(0)).count());
}

// Sleeps until something happens, and handles it.
void Keeper::Turn() {
  enum { kSignals, kParent, kSocket, kEnd, kTrial, kCount };
  std::array<pollfd, kCount> fds{};  // poll() skips those with a negative descriptor
  for (pollfd& entry : fds) entry = {.fd = -1, .events = POLLIN, .revents = 0};
  fds[kSignals].fd = signals_.get();
  if (!stopping_) fds[kParent].fd = parent_.get();
  if (trial_) fds[kTrial].fd = trial_->end();
  if (engine_) {
    fds[kEnd].fd = engine_->pidfd.get();
    if (!engine_->socket_ended) fds[kSocket].fd = engine_->socket.get();
    if (!engine_->outgoing.empty() && !engine_->busy) fds[kSocket].events |= POLLOUT;
  }
  if (::poll(fds.data(), fds.size(), PollTimeout()) < 0) return;  // EINTR: nothing has happened

  if (fds[kSignals].revents != 0) HandleSignals();
  if (fds[kParent].revents != 0) Stop("the process it belongs to has ended");
  if (fds[kSocket].revents != 0) {
    for (int i = 0; i < kPacketsATurn && ReadPacket(); ++i) {
    }
  }
  if (engine_) Flush();
  if (trial_ && (fds[kTrial].revents != 0 || os::Clock::now() >= trial_->deadline())) FinishTrial();
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
    log::Warning("engine does not end by itself and is killed", {{"pid", engine_->pid}});
    KillEngine();
  }
  if (start_at_ && now >= *start_at_) {
    start_at_.reset();
    if (Status started = StartEngine(); !started.ok()) {
      StartEngineLater();
      log::Error("cannot start an engine",
                 {{"why", started.message()}, {"next_try_ms", pause_.count()}});
    }
  }
}

// False when there is nothing (more) to read now.
bool Keeper::ReadPacket() {
  if (engine_->socket_ended) return false;
  KeeperMessage message;
  auto packet = os::ReceivePacket(engine_->socket, std::as_writable_bytes(std::span(&message, 1)));
  if (!packet.ok()) {
    log::Error("cannot read from the engine", {{"why", packet.status().message()}});
    return false;
  }
  switch (packet->arrival) {
    case os::Arrival::kNothing: return false;
    case os::Arrival::kClosed:
      // An engine that has closed its socket is ending. One that does not is of no use.
      engine_->socket_ended = true;
      if (!kill_at_) kill_at_ = os::Clock::now() + kStopPatience;
      return false;
    case os::Arrival::kPacket: break;
  }
  if (packet->bytes != sizeof message || message.version != kKeeperProtocolVersion) {
    log::Error("engine sent a packet that means nothing here",
               {{"bytes", packet->bytes}, {"version", message.version}});
    return true;
  }
  HandleMessage(message, std::move(packet).value());
  return true;
}

void Keeper::HandleMessage(const KeeperMessage& message, os::Packet packet) {
  switch (message.op) {
    case KeeperOp::kHold: {
      Status held = packet.fd_lost ? Status::LimitExceeded("too many descriptors are open")
                                   : items_.Hold(message, std::move(packet.fd));
      if (!held.ok()) {
        log::Error("cannot hold what the engine sent",
                   {{"kind", static_cast<uint32_t>(message.kind)}, {"why", held.message()}});
      }
      Answer(KeeperOp::kHeld, message, held.code());
      return;
    }
    case KeeperOp::kDrop:
      items_.Drop(KeyOf(message));
      Answer(KeeperOp::kDropped, message, StatusCode::kOk);
      return;
    case KeeperOp::kReady:
      engine_->ready = true;
      engine_->ready_at = os::Clock::now();
      if (engine_->program.valid()) good_program_ = std::move(engine_->program);
      formats_ = {.catalog = std::max<uint64_t>(message.a, 1),
                  .ledger = std::max<uint64_t>(message.b, 1)};
      ever_ready_ = true;
      failures_ = 0;
      pause_ = milliseconds(0);
      return;
    case KeeperOp::kStop: Stop("asked to by its owner"); return;
    case KeeperOp::kTry: Try(message); return;
    case KeeperOp::kHello:
    case KeeperOp::kItem:
    case KeeperOp::kInventoryEnd:
    case KeeperOp::kHeld:
    case KeeperOp::kDropped:
    case KeeperOp::kTried:
    case KeeperOp::kCapable: break;
  }
  log::Error("engine sent a message that only a keeper sends",
             {{"op", static_cast<uint32_t>(message.op)}});
}

void Keeper::Answer(KeeperOp op, const KeeperMessage& to, StatusCode outcome) {
  if (to.sequence == 0) return;
  KeeperMessage answer{.op = op, .sequence = to.sequence, .kind = to.kind, .a = to.a, .b = to.b};
  answer.c = static_cast<uint64_t>(outcome);
  engine_->outgoing.push_back(answer);
  Flush();
}

// Sends what the socket has room for.
void Keeper::Flush() {
  engine_->busy = false;
  std::deque<KeeperMessage>& queue = engine_->outgoing;
  while (!queue.empty()) {
    KeeperMessage& message = queue.front();
    int fd = -1;
    if (message.op == KeeperOp::kItem) {
      fd = items_.Descriptor(KeyOf(message));
      if (fd < 0) {
        queue.pop_front();
        continue;
      }
    }
    if (message.op == KeeperOp::kInventoryEnd) message.a = engine_->items_sent;
    auto sent = os::SendPacket(engine_->socket, std::as_bytes(std::span(&message, 1)), fd);
    if (!sent.ok()) {
      queue.clear();  // it has closed its socket: its end will be seen
      return;
    }
    if (*sent != os::Sent::kSent) {
      engine_->busy = *sent == os::Sent::kBusy;
      return;
    }
    if (fd >= 0) ++engine_->items_sent;
    queue.pop_front();
  }
}

void Keeper::HandleEngineEnd() {
  // What it sent before it died is as good as what it sent before that.
  while (ReadPacket()) {
  }
  items_.MarkReplaced();
  const pid_t pid = engine_->pid;
  trial_.reset();  // nobody waits for its outcome any more
  auto reaped = os::Reap(pid);
  os::ReapOrphans();  // the process that touched pages for it, or for the one before
  const os::ProcessEnd end = reaped.ok() ? *reaped : os::ProcessEnd{true, SIGKILL};
  const bool was_ready = engine_->ready;
  const milliseconds pause = was_ready ? PauseAfter(end) : milliseconds(0);
  engine_.reset();
  kill_at_.reset();
  if (stopping_) {
    finished_ = true;
    return;
  }
  if (!ever_ready_ && !end.by_signal && end.code != 0) {  // it has said why
    finished_ = true;
    exit_code_ = end.code;
    return;
  }
  // Until an engine serves, what the faulty one was doing is not settled.
  const bool unsettled = !was_ready && start_ == KeeperStart::kAfterFault;
  start_ = IsFault(end) || unsettled ? KeeperStart::kAfterFault : KeeperStart::kAfterKill;
  if (!was_ready) {
    ++failures_;
    StartEngineLater();
    log::Error("engine ended before it served; another starts after a pause",
               {{"pid", pid}, {"end", Describe(end)}, {"pause_ms", pause_.count()}});
    return;
  }
  log::Warning("engine ended; another starts",
               {{"pid", pid}, {"end", Describe(end)}, {"pause_ms", pause.count()}});
  start_at_ = os::Clock::now() + pause;
}

// The first fault costs nobody a moment. Those that follow it soon come ever more slowly, but another engine always
// starts: there may be data.
milliseconds Keeper::PauseAfter(const os::ProcessEnd& end) {
  if (!IsFault(end)) return milliseconds(0);
  const bool soon = os::Clock::now() - engine_->ready_at < kLongEnough;
  const milliseconds pause = soon ? pause_after_faults_ : milliseconds(0);
  pause_after_faults_ =
      pause.count() == 0 ? kFirstPause : std::min(2 * pause, kLongestPauseAfterFaults);
  return pause;
}

}  // namespace

int RunKeeper(const KeeperOptions& options) { return Keeper(options).Run(); }

}  // namespace vineyard::daemon
