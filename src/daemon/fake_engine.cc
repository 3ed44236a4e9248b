// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/fake_engine.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/keeper.h"
#include "daemon/keeper_link.h"
#include "layout/catalog.h"
#include "layout/ledger.h"
#include "os/memfd.h"
#include "os/packet.h"
#include "os/process.h"
#include "os/socket.h"

namespace vineyard::daemon {

namespace {

os::UniqueFd MemoryWith(const std::string& text, uint64_t size = os::PageSize()) {
  os::UniqueFd fd = os::CreateMemfd("fake_engine", size).value();
  VY_CHECK(::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return fd;
}

std::string TextIn(const InventoryItem& item) {
  if (item.what.kind != KeptKind::kChunk) return "-";
  char text[64] = {};
  VY_CHECK(::pread(item.fd.get(), text, sizeof text - 1, 0) >= 0);
  return text;
}

class FakeEngine {
 public:
  FakeEngine(Inventory inventory, os::UniqueFd socket)
      : inventory_(std::move(inventory)), link_(io_, std::move(socket), [] { ::_exit(0); }) {}

  void Describe(FILE* out) const {
    const char* mark = std::getenv("FAKE_ENGINE_MARK");
    fmt::print(out, "engine {} {} {} {} {} {} {} {} {}\n", inventory_.generation,
               static_cast<uint64_t>(inventory_.start), ::getpid(), inventory_.instance[0],
               inventory_.instance[1], mark != nullptr ? mark : "-",
               inventory_.former_program ? 1 : 0, inventory_.on_probation ? 1 : 0,
               inventory_.items.size());
    for (const InventoryItem& item : inventory_.items) {
      fmt::print(out, "{} {} {} {}\n", static_cast<uint32_t>(item.what.kind), item.what.a,
                 item.what.b, TextIn(item));
    }
  }

  std::string Obey(const std::string& line) {
    std::istringstream in(line);
    std::string verb;
    std::string text;
    uint64_t a = 0;
    uint64_t b = 0;
    uint32_t kind = 0;
    in >> verb;
    if (verb == "chunk" && in >> a >> text) return HoldAndWait(Chunk(a), MemoryWith(text));
    if (verb == "chunks" && in >> a >> text) return HoldMany(a, text);
    if (verb == "die_holding" && in >> a >> text) DieHolding(a, text);
    if (verb == "catalog" && in >> a) return HoldCatalog(a);
    if (verb == "short_catalog") return HoldAndWait(Catalog(1), MemoryWith("short"));
    if (verb == "listener" && in >> a >> text) {
      return HoldAndWait({.kind = KeptKind::kListener, .a = a}, os::ListenUnix(text, 0600).value());
    }
    if (verb == "drop" && in >> kind >> a >> b) return DropAndWait(KeptKind{kind}, a, b);
    if (verb == "ready") link_.Ready();
    if (verb == "try") return TryAndWait();
    if (verb == "settled") return AwaitSettled();
    if (verb == "stop") link_.Stop();
    if (verb == "ignore" && in >> a) std::signal(static_cast<int>(a), SIG_IGN);
    if (verb == "outlive") ::prctl(PR_SET_PDEATHSIG, 0);
    if (verb == "exit" && in >> a) ::_exit(static_cast<int>(a));
    if (verb == "kill" && in >> a) {
      std::signal(static_cast<int>(a), SIG_DFL);  // a sanitizer may have a handler of its own
      ::raise(static_cast<int>(a));
    }
    return "ok";
  }

 private:
  static KeeperMessage Chunk(uint64_t a) { return {.kind = KeptKind::kChunk, .a = a}; }
  [[nodiscard]] KeeperMessage Catalog(uint64_t volume) const {
    return {.kind = KeptKind::kCatalog, .a = volume, .b = inventory_.generation << 32};
  }

  void RunUntil(const bool& done) {
    io_.restart();
    while (!done) io_.run_one();
  }

  std::string HoldAndWait(const KeeperMessage& what, os::UniqueFd fd) {
    bool done = false;
    Status outcome;
    auto held = link_.Hold(what, fd.get(), [&](Status status) {
      outcome = std::move(status);
      done = true;
    });
    VY_CHECK(held.ok());
    fd.Reset();  // from now on the keeper's is the only one
    RunUntil(done);
    return outcome.ok() ? "ok" : std::to_string(static_cast<int>(outcome.code()));
  }

  std::string HoldCatalog(uint64_t volume) {
    os::UniqueFd fd = MemoryWith("catalog", layout::kFirstSegmentOffset + os::PageSize());
    const os::UniqueFd kept = os::Reopen(fd, os::Access::kRead).value();
    std::string outcome = HoldAndWait(Catalog(volume), std::move(fd));
    if (outcome != "ok") return outcome;
    catalogs_.push_back(kept.Duplicate().value());
    return fmt::format("/proc/{}/fd/{}", ::getpid(), catalogs_.back().get());
  }

  std::string HoldMany(uint64_t count, const std::string& text) {
    uint64_t held = 0;
    for (uint64_t a = 0; a < count; ++a) {
      const auto sent = link_.Hold(Chunk(a), MemoryWith(text).get(), [&](const Status& status) {
        VY_CHECK(status.ok());
        ++held;
      });
      VY_CHECK(sent.ok());
    }
    io_.restart();
    while (held < count) io_.run_one();
    return "ok";
  }

  [[noreturn]] void DieHolding(uint64_t count, const std::string& text) {
    for (uint64_t a = 0; a < count; ++a) {
      const auto sent = link_.Hold(Chunk(a), MemoryWith(text).get(), [](const Status&) {});
      VY_CHECK(sent.ok() && *sent);
    }
    ::kill(::getpid(), SIGKILL);
    std::abort();
  }

  std::string AwaitSettled() {
    io_.restart();
    while (!link_.settled()) io_.run_one();
    return "ok";
  }

  std::string TryAndWait() {
    bool done = false;
    Status outcome;
    link_.TryProgram([&](Status status) {
      outcome = std::move(status);
      done = true;
    });
    RunUntil(done);
    return outcome.ok() ? "ok" : std::string(outcome.message());
  }

  std::string DropAndWait(KeptKind kind, uint64_t a, uint64_t b) {
    bool done = false;
    link_.Drop(kind, a, b, [&] { done = true; });
    RunUntil(done);
    return "ok";
  }

  Inventory inventory_;
  asio::io_context io_;
  KeeperLink link_;
  std::vector<os::UniqueFd> catalogs_;
};

}  // namespace

int RunFakeTrial() {
  os::DieWithParent();
  const os::UniqueFd socket(std::atoi(std::getenv(kEngineFdVariable)));
  const char* variable = std::getenv("FAKE_TRIAL");
  std::istringstream in(variable != nullptr ? variable : "good");
  std::string how;
  int number = 0;
  in >> how >> number;
  if (how == "exit") return number;
  if (how == "kill") {
    std::signal(number, SIG_DFL);
    ::raise(number);
  }
  while (how == "hang") ::pause();
  if (how == "silent") return 0;
  KeeperMessage message{.op = KeeperOp::kCapable};
  message.a = message.b = layout::kCatalogVersion + (how == "catalog" ? 1 : 0);
  message.c = message.d = layout::kLedgerVersion + (how == "ledger" ? 1 : 0);
  if (how == "protocol") ++message.version;
  return os::SendPacket(socket, std::as_bytes(std::span(&message, 1)), -1).ok() ? 0 : 1;
}

int RunFakeEngine(const char* control) {
  os::DieWithParent();
  os::UniqueFd socket(std::atoi(std::getenv(kEngineFdVariable)));
  VY_CHECK(os::CloseOnExec(socket).ok());
  auto inventory = KeeperLink::ReceiveInventory(socket);
  if (!inventory.ok()) return 4;
  // A keeper that died before DieWithParent has closed its end by now.
  pollfd entry{socket.get(), POLLIN, 0};
  if (::poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0) return 0;
  auto connection = os::ConnectUnix(control);
  if (!connection.ok()) return 5;
  ::fcntl(connection->get(), F_SETFL, 0);  // blocking
  FILE* hear = ::fdopen(connection->Duplicate().value().Release(), "r");
  FILE* say = ::fdopen(connection->Release(), "w");

  FakeEngine engine(std::move(inventory).value(), std::move(socket));
  engine.Describe(say);
  std::fflush(say);
  char line[4096];
  while (std::fgets(line, sizeof line, hear) != nullptr) {
    fmt::print(say, "{}\n", engine.Obey(line));
    std::fflush(say);
  }
  return 0;
}

}  // namespace vineyard::daemon
