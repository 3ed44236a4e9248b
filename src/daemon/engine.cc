// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/engine.h"

#define ASIO_STANDALONE
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "base/logging.h"
#include "base/size.h"
#include "daemon/keeper_link.h"
#include "daemon/program_trial.h"
#include "daemon/server.h"
#include "daemon/spill_place.h"
#include "daemon/volume_sockets.h"
#include "daemon/worker_pool.h"
#include "os/crash_point.h"
#include "os/huge_pages.h"
#include "os/memfd.h"
#include "os/page_toucher.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "spill/crew.h"
#include "store/recovery.h"
#include "store/spill_disk.h"
#include "store/store.h"

namespace vineyard::daemon {

namespace {

/// The store's view of the keeper.
class LinkedKeeper final : public store::MemoryKeeper {
 public:
  LinkedKeeper(KeeperLink& link, std::function<void(Status)> broken)
      : link_(link), broken_(std::move(broken)) {}

  void Hold(const store::HeldItem& item, const os::UniqueFd& fd) override {
    os::CrashPoint("keeper.hold");
    if (auto held = link_.Hold(ToMessage(item), fd.get()); !held.ok()) broken_(held.status());
    os::CrashPoint("keeper.held");
  }
  void HoldAndTell(const store::HeldItem& item, const os::UniqueFd& fd,
                   std::function<void()> held) override {
    auto sent =
        link_.Hold(ToMessage(item), fd.get(), [this, held = std::move(held)](const Status& status) {
          if (!status.ok()) return broken_(status);
          held();
        });
    if (!sent.ok()) broken_(sent.status());
  }
  void Drop(store::HeldKind kind, uint64_t a, uint64_t b, std::function<void()> dropped) override {
    os::CrashPoint("keeper.drop");
    link_.Drop(kind, a, b, std::move(dropped));
  }

 private:
  static KeeperMessage ToMessage(const store::HeldItem& i) {
    KeeperMessage m;
    m.kind = i.kind;
    m.a = i.a;
    m.b = i.b;
    m.c = i.c;
    m.d = i.d;
    m.e = i.e;
    m.f = i.f;
    return m;
  }
  KeeperLink& link_;
  std::function<void(Status)> broken_;
};

// What the engine gives up, and the process that touches pages for it, which is started in between.
struct Confinement {
  std::shared_ptr<os::PageToucher> toucher;  // null: there is none
  std::shared_ptr<spill::Place> place;       // null: nothing is to be spilled
  std::map<Door, os::UniqueFd> sockets;      // of durable volumes, that nobody listened at
  os::SandboxReport report;
};

/// One engine, from taking over to its end. Members are destroyed in reverse order: the pool's threads
/// end before anything they may refer to.
class Engine {
 public:
  Engine(const Config& config, Inventory inventory, os::UniqueFd socket, Confinement confinement)
      : config_(config), inventory_(std::move(inventory)), toucher_(std::move(confinement.toucher)),
        place_(std::move(confinement.place)), made_sockets_(std::move(confinement.sockets)),
        link_(io_, std::move(socket), [this] { Stop(1, "the keeper is gone"); }),
        keeper_(link_, [this](const Status& s) { Stop(1, s.ToString()); }) {}

  int Run() {
    if (Status s = Start(); !s.ok()) {
      log::Error("the engine can't start", {{"why", s.ToString()}});
      return 1;
    }
    asio::signal_set signals(io_, SIGTERM, SIGINT);
    signals.async_wait([this](const asio::error_code& error, int) {
      if (!error) Stop(0, "asked to end");
    });
    rings_.Run(io_);
    if (toucher_) toucher_->Stop();
    if (disk_) disk_->Stop();
    pool_->Join();
    server_.reset();
    return exit_code_;
  }

 private:
  Status Start() {
    constexpr unsigned kThreads = 3;  // one may wait for the toucher
    VY_ASSIGN_OR_RETURN(pool_, WorkerPool::Start(kThreads));
    store::StoreOptions options;
    options.limit = config_.size;
    options.generation = inventory_.generation;
    options.reserve_memory = config_.reserve_memory;
    options.toucher = toucher_;
    options.after_fault = inventory_.start == KeeperStart::kAfterFault;
    VY_RETURN_IF_ERROR(OpenDisk());
    options.disk = disk_.get();
    options.guaranteed = config_.guaranteed;
    options.spill_marks = {.lower = config_.spill_lower_rate, .upper = config_.spill_upper_rate};
    std::copy(std::begin(inventory_.instance), std::end(inventory_.instance), options.instance);
    VY_ASSIGN_OR_RETURN(store_, store::Store::Create(options, keeper_, PoolRunner()));
    std::vector<store::HeldMemory> held;
    for (InventoryItem& item : inventory_.items) {
      const KeeperMessage& m = item.what;
      if (m.kind == KeptKind::kListener) {
        listeners_[{m.a, m.b == 0 ? Rights::kAll : Rights::kRead}] = std::move(item.fd);
        continue;
      }
      held.push_back({{m.kind, m.a, m.b, m.c, m.d, m.e, m.f}, std::move(item.fd)});
    }
    inventory_.items.clear();
    VY_RETURN_IF_ERROR(HoldMadeSockets());
    recovery_ = std::make_unique<store::Recovery>(*store_, std::move(held));
    return recovery_->Run([this] { asio::post(io_, [this] { EnsureDefaultVolume(); }); });
  }

  Status HoldMadeSockets() {
    for (auto& [door, listener] : made_sockets_) {
      if (listeners_.contains(door)) continue;
      const KeeperMessage what{
          .kind = KeptKind::kListener, .a = door.volume, .b = static_cast<uint64_t>(door.rights)};
      VY_RETURN_IF_ERROR(link_.Hold(what, listener.get()).status());
      listeners_[door] = std::move(listener);
    }
    made_sockets_.clear();
    return {};
  }

  // Its threads begin in the sandbox.
  Status OpenDisk() {
    if (place_ == nullptr) return {};
    VY_ASSIGN_OR_RETURN(auto crew, spill::Crew::Start({}));
    disk_ = std::make_unique<store::SpillDisk>(
        place_, std::move(crew), PoolRunner(),
        [this](std::function<void()> event) { asio::post(io_, std::move(event)); });
    return {};
  }

  store::RunOnPool PoolRunner() {
    return [this](std::function<void()> work, std::function<void()> done) {
      pool_->Post([this, work = std::move(work), done = std::move(done)] {
        work();
        asio::post(io_, done);
      });
    };
  }

  void EnsureDefaultVolume() {
    Report();
    if (store_->FindVolume(uint64_t{1}) != nullptr) return Serve();
    std::random_device random;
    store::CatalogSpec spec;
    spec.volume = 1;
    spec.name = "default";
    spec.guaranteed = config_.guaranteed;
    spec.hash_seed = uint64_t{random()} << 32 | random();
    Status begun = store_->CreateVolume(spec, [this](const Result<store::Volume*>& made) {
      if (!made.ok()) return Stop(1, made.status().ToString());
      Serve();
    });
    if (!begun.ok()) Stop(1, begun.ToString());
  }

  void Report() {
    const store::RecoveryReport& r = recovery_->report();
    if (r.from_generation != 0) {
      log::Info("took over from the engine before", {{"generation", inventory_.generation},
                                                     {"volumes", r.volumes},
                                                     {"objects", r.objects},
                                                     {"names", r.names},
                                                     {"spilled", r.spilled},
                                                     {"clients", r.clients}});
    }
    const store::RestoreReport& d = r.restored;
    if (d.volumes + d.objects + d.names > 0) {
      log::Info("brought back what is durable",
                {{"volumes", d.volumes}, {"objects", d.objects}, {"names", d.names}});
    }
    if (d.outdated > 0) {
      log::Info("files of durable objects and names are written anew, or removed",
                {{"files", d.outdated}});
    }
    if (d.set_aside + d.left > 0) {
      log::Error(
          "some of what is durable could not be brought back",
          {{"set_aside", d.set_aside}, {"left_on_the_disk", d.left}, {"folder", place_->path()}});
    }
    for (const std::string& line : d.lines) log::Warning("not brought back", {{"what", line}});
    if (r.orphaned_files > 0) {
      log::Info("files of spilled objects that are gone are removed",
                {{"files", r.orphaned_files}, {"folder", place_->path()}});
    }
    for (const std::string& line : r.set_aside) log::Error("set aside", {{"what", line}});
    if (r.set_aside_count > r.set_aside.size()) {
      log::Error("set aside more", {{"count", r.set_aside_count - r.set_aside.size()}});
    }
    recovery_.reset();
  }

  void Serve() {
    ServerOptions options;
    options.deployment = config_.deployment;
    options.instance_uuid =
        fmt::format("{:016x}{:016x}", inventory_.instance[0], inventory_.instance[1]);
    options.generation = inventory_.generation;
    options.former_program = inventory_.former_program;
    options.on_probation = inventory_.on_probation;
    options.give_way = [this] { GiveWay(); };
    options.descriptors = os::FdLimit();
    if (inventory_.keeper_descriptors != 0) {
      options.descriptors = std::min(options.descriptors, inventory_.keeper_descriptors);
    }
    server_ = std::make_unique<Server>(io_, rings_, *store_, link_, options);
    if (Status s = server_->Start(); !s.ok()) return Stop(1, s.ToString());
    for (auto& [door, listener] : listeners_) {
      if (store_->FindVolume(door.volume) == nullptr) {
        // Its volume was never finished, or is removed: nobody would answer there.
        link_.Drop(KeptKind::kListener, door.volume, static_cast<uint64_t>(door.rights));
        continue;
      }
      if (Status s = server_->Listen(door, std::move(listener)); !s.ok()) {
        return Stop(1, s.ToString());
      }
    }
    listeners_.clear();
    if (Status s = store_->ReserveMemory(); !s.ok()) return Stop(1, s.ToString());
    link_.Ready();
    log::Info("serving", {{"socket", config_.socket},
                          {"size", FormatSize(config_.size)},
                          {"generation", inventory_.generation}});
  }

  // To an engine of the program that the keeper has tried. Nothing that is under way is waited for: it is carried out
  // once, by this engine or the next one, as after any end.
  void GiveWay() {
    log::Info("the engine gives way to another program", {{"generation", inventory_.generation}});
    if (server_) server_->Stop();
    os::EndAtOnce();
  }

  void Stop(int code, std::string_view why) {
    if (stopping_) return;
    stopping_ = true;
    exit_code_ = code;
    if (code != 0) log::Error("the engine ends", {{"why", why}});
    if (server_) server_->Stop();
    io_.stop();
  }

  const Config& config_;
  Inventory inventory_;
  std::shared_ptr<os::PageToucher> toucher_;  // null: without one
  std::shared_ptr<spill::Place> place_;       // null: nothing is spilled
  std::map<Door, os::UniqueFd> made_sockets_;
  asio::io_context io_{1};
  KeeperLink link_;
  LinkedKeeper keeper_;
  std::unique_ptr<store::SpillDisk> disk_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Recovery> recovery_;
  std::map<Door, os::UniqueFd> listeners_;
  RingWatch rings_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<WorkerPool> pool_;
  bool stopping_ = false;
  int exit_code_ = 0;
};

Status InSandbox(Status entered) {
  if (entered.ok()) return entered;
  return entered.WithContext(
      "it can't enter its sandbox (report this; --sandbox=off does without)");
}

/// On trial the engine at work has the folder, and keeps it.
enum class Spilling : uint8_t { kTake, kLeave };

Result<Confinement> EnterSandbox(const Config& config, Spilling spilling) {
  os::ReachableFiles files;
  const auto confined = config.sandbox ? os::Confined::kYes : os::Confined::kNo;
  Confinement made;
  if (!config.spill_path.empty() && spilling == Spilling::kTake) {
    VY_ASSIGN_OR_RETURN(made.place, TakeSpillPlace(config));
    files.folders.push_back(made.place->path());
    made.sockets = MakeVolumeSockets(made.place);
  }
  if (config.sandbox) VY_RETURN_IF_ERROR(InSandbox(os::GiveUpRights(files, &made.report)));
  // Before there are threads, or descriptors that it should not have for a moment.
  auto toucher = os::PageToucher::Start(confined);
  if (toucher.ok()) {
    made.toucher = std::move(*toucher);
  } else {
    log::Warning("pages are touched without haste by no process of their own",
                 {{"why", toucher.status().ToString()}});
  }
  if (config.sandbox) {
    const pid_t child = made.toucher ? made.toucher->pid() : -1;
    VY_RETURN_IF_ERROR(InSandbox(os::RestrictCallsOfEngine(files, child, &made.report)));
  }
  return made;
}

void ReportStart(const Config& config, const os::HugePageState& pages,
                 const os::SandboxReport& sandbox) {
  if (pages.changed) log::Info("switched on huge pages for shared memory");
  if (!pages.large && config.huge_pages != os::HugePageMode::kOff) {
    log::Warning("no huge pages for shared memory: large objects are slower",
                 {{"mend", pages.hint}});
  }
  if (!config.sandbox) {
    log::Warning("the engine runs without its sandbox", {{"mend", "leave out --sandbox=off"}});
  } else if (!sandbox.missing.empty()) {
    log::Info("a part of the sandbox is missing", {{"what", sandbox.missing}});
  }
}

}  // namespace

int RunSelfTest(const Config& config, const os::UniqueFd& keeper_socket) {
  os::RaiseFdLimit();
  auto confinement = EnterSandbox(config, Spilling::kLeave);
  Status fit = confinement.status();
  if (fit.ok() && keeper_socket.valid()) fit = ReportCapabilities(keeper_socket);
  if (fit.ok() && confinement->toucher) confinement->toucher->Stop();
  if (fit.ok()) return 0;
  log::Error("this program could not run an engine here", {{"why", fit.ToString()}});
  return 1;
}

int RunEngine(const Config& config, os::UniqueFd keeper_socket) {
  os::SetProcessName("vineyardd");  // also where it was started by a descriptor
  os::DieWithParent();
  os::IgnoreLeaseSignals();
  os::IgnoreFileSizeSignal();
  os::RaiseFdLimit();
  const os::HugePageState pages = os::PrepareHugePages(config.huge_pages);
  // From here on this process does not trust itself: even what the keeper sends was made by an engine before.
  auto confinement = EnterSandbox(config, Spilling::kTake);
  if (!confinement.ok()) {
    log::Error("the engine can't start", {{"why", confinement.status().ToString()}});
    return 1;
  }
  auto inventory = KeeperLink::ReceiveInventory(keeper_socket);
  if (!inventory.ok()) {
    log::Error("the keeper does not answer", {{"why", inventory.status().ToString()}});
    return 1;
  }
  os::LoadCrashPoint(inventory->generation);
  if (inventory->generation <= 1) ReportStart(config, pages, confinement->report);
  return Engine(config, std::move(*inventory), std::move(keeper_socket), std::move(*confinement))
      .Run();
}

}  // namespace vineyard::daemon
