// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Another program for the engine of an instance that is at work: nobody gets an error, nothing is lost.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

uint64_t InodeOf(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

class Upgrade : public ::testing::Test {
 protected:
  Upgrade() : program_(folder_.path() + "/vineyardd") {
    Install();
    daemon_ = std::make_unique<TestDaemon>(
        DaemonOptions{.size = "512Mi",
                      .flags = {"--spill_path", folder_.path() + "/disk"},
                      .environment = {},
                      .program = program_,
                      .descriptors = {},
                      .user = {}});
    client_.emplace(daemon_->Connect());
  }
  /// As a package's manager does: another file under the same name.
  void Install() {
    fs::copy_file(TestDaemon::Program(), program_ + ".new");
    fs::rename(program_ + ".new", program_);
  }
  void InstallScript(const std::string& script) {
    std::ofstream(program_ + ".new") << "#!/bin/sh\n" << script << "\n";
    fs::permissions(program_ + ".new", fs::perms(0755));
    fs::rename(program_ + ".new", program_);
  }
  [[nodiscard]] uint64_t Running() const {
    return InodeOf(fmt::format("/proc/{}/exe", daemon_->engine()));
  }

  TempFolder folder_;
  std::string program_;
  std::unique_ptr<TestDaemon> daemon_;
  std::optional<Client> client_;
};

// ---- load

constexpr size_t kWorkers = 3;

struct Shared {
  std::atomic<bool> stop{false};
  std::array<std::atomic<uint64_t>, kWorkers> done{};
};

// One process, which knows what it has stored under its own names.
class Worker {
 public:
  Worker(const std::string& socket, uint64_t number)
      : client_(Client::Connect(socket).value()), number_(number), random_(number) {}

  bool Step() {
    const std::string name = fmt::format("{} {}", number_, random_() % 12);
    const auto known = model_.find(name);
    switch (random_() % 4) {
      case 0:
      case 1: return Put(name);
      case 2: return known == model_.end() ? IsAbsent(name) : IsThere(name);
      default:
        if (known == model_.end()) return IsAbsent(name);
        model_.erase(known);
        return Is(client_.DropName(name), "drop") && IsAbsent(name);
    }
  }
  bool CheckAll() {
    for (const auto& [name, value] : model_) {
      if (!IsThere(name)) return false;
    }
    const auto names = client_.ListNames({.timeout = {}, .pattern = fmt::format("{} *", number_)});
    return Is(names.status(), "list") && names->size() == model_.size();
  }

 private:
  bool Put(const std::string& name) {
    constexpr std::array kSizes{kSmall, kSmall, kLarge, kTwoChunks};
    const std::pair value{random_(), kSizes[random_() % kSizes.size()]};
    auto put = PutPattern(client_, value.first, value.second, name);
    if (!Is(put.status(), "put")) return false;
    model_[name] = value;
    return true;
  }
  bool IsThere(const std::string& name) {
    const auto& [seed, size] = model_.at(name);
    auto got = client_.Get(name);
    return Is(got.status(), "get") && got->buffers().size() == 1 &&
           got->buffers()[0].size() == size && IsPattern(got->buffers()[0].bytes(), seed);
  }
  bool IsAbsent(const std::string& name) {
    const auto got = client_.Get(name);
    return got.status().Is(StatusCode::kNotFound) || Is(got.status(), "an absent name");
  }
  bool Is(const Status& status, const char* what) const {
    if (status.ok()) return true;
    std::fprintf(stderr, "worker %d: %s: %s\n", static_cast<int>(number_), what,
                 status.ToString().c_str());
    return false;
  }

  Client client_;
  uint64_t number_;
  std::mt19937_64 random_;
  std::map<std::string, std::pair<uint64_t, size_t>> model_;
};

TEST_F(Upgrade, UnderLoadNobodyGetsAnErrorAndNothingIsLost) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* shared = new (memory) Shared;
  std::vector<Child> workers;
  for (uint64_t number = 0; number < kWorkers; ++number) {
    workers.emplace_back([&, number] {
      Worker worker(daemon_->socket(), number);
      while (!shared->stop) {
        if (!worker.Step()) return 1;
        ++shared->done[number];
      }
      return worker.CheckAll() ? 0 : 2;
    });
  }
  const auto everybody_goes_on = [&] {
    std::array<uint64_t, kWorkers> before{};
    for (size_t i = 0; i < kWorkers; ++i) before[i] = shared->done[i];
    return Eventually([&] {
      for (size_t i = 0; i < kWorkers; ++i) {
        if (shared->done[i] < before[i] + 10) return false;
      }
      return true;
    });
  };
  ASSERT_TRUE(everybody_goes_on());
  constexpr uint64_t kUpgrades = 20;
  for (uint64_t i = 1; i <= kUpgrades; ++i) {
    Install();
    const auto now = client_->Upgrade({.watch = false});
    ASSERT_OK(now);
    EXPECT_EQ(now->generation, i + 1);
    EXPECT_TRUE(now->on_probation);
    EXPECT_FALSE(now->former_program);
    EXPECT_EQ(Running(), InodeOf(program_));
    ASSERT_TRUE(everybody_goes_on()) << "after upgrade " << i;
  }
  shared->stop = true;
  for (Child& worker : workers) EXPECT_EQ(worker.Wait(), 0);
  EXPECT_EQ(client_->GetStatus().value().generation, kUpgrades + 1);
  EXPECT_EQ(daemon_->log().find("level=error"), std::string::npos);
  ::munmap(memory, sizeof(Shared));
}

// ---- programs that are none

TEST_F(Upgrade, AProgramThatCannotTakeOverChangesNothing) {
  ASSERT_OK(PutPattern(*client_, 1, kLarge, "large"));
  const pid_t engine = daemon_->engine();
  const auto refused = [&](const char* why) {
    const auto upgraded = client_->Upgrade();
    EXPECT_CODE(kFailedPrecondition, upgraded);
    EXPECT_THAT(std::string(upgraded.status().message()), HasSubstr(why));
    EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
    EXPECT_EQ(daemon_->engine(), engine);
  };
  fs::remove(program_);
  refused("is not there");
  std::ofstream(program_) << "no program";
  fs::permissions(program_, fs::perms(0755));
  refused("is not there, or cannot be run");
  fs::permissions(program_, fs::perms(0644));
  refused("is not there, or cannot be run");
  fs::remove(program_);
  InstallScript("exit 0");
  refused("did not say");
  InstallScript("kill -SEGV $$");
  refused("signal 11");
  InstallScript("echo \"unknown flag --self_test\" >&2; exit 2");
  refused("exit code 2");
  Install();
  EXPECT_OK(client_->Upgrade({.watch = false}));
  EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
}

TEST_F(Upgrade, AProgramThatPassesItsTrialAndDoesNotBeginIsFollowedByTheOneBefore) {
  ASSERT_OK(PutPattern(*client_, 1, kLarge, "large"));
  ASSERT_OK(PutPattern(*client_, 2, kSmall, "small"));
  const uint64_t first = Running();
  InstallScript(fmt::format("case \"$*\" in *--self_test*) exec {} \"$@\";; esac\nexit 1",
                            TestDaemon::Program()));
  for (int i = 0; i < 2; ++i) {
    const auto upgraded = client_->Upgrade();
    ASSERT_OK(upgraded);
    EXPECT_TRUE(upgraded->former_program);
    EXPECT_EQ(Running(), first) << "its file is gone, and it runs";
    EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
    EXPECT_TRUE(HoldsPattern(client_->Get("small"), 2, kSmall));
  }
  daemon_->KillEngine();
  EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
  ASSERT_OK(PutPattern(*client_, 3, kLarge, "more"));
  Install();
  const auto upgraded = client_->Upgrade({.watch = false});
  ASSERT_OK(upgraded);
  EXPECT_FALSE(upgraded->former_program);
  EXPECT_EQ(Running(), InodeOf(program_));
  EXPECT_TRUE(HoldsPattern(client_->Get("more"), 3, kLarge));
}

TEST_F(Upgrade, AProgramThatServesAndDiesOfEachPutIsFollowedByTheOneBefore) {
  ASSERT_OK(PutPattern(*client_, 1, kLarge, "large"));
  const uint64_t first = Running();
  for (int i = 0; i < 2; ++i) {
    InstallScript(
        fmt::format("case \"$*\" in *--self_test*) ;; *) export VINEYARD_CRASH_AT=put.staged "
                    "VINEYARD_CRASH_GENERATION=2-99 VINEYARD_CRASH_SIGNAL=11;; esac\n"
                    "exec {} \"$@\"",
                    TestDaemon::Program()));
    const auto upgraded = client_->Upgrade({.watch = false});
    ASSERT_OK(upgraded);
    EXPECT_TRUE(upgraded->on_probation);
    EXPECT_FALSE(upgraded->former_program);
    EXPECT_NE(Running(), first);
    EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
    Child other([&] {
      Client client = daemon_->Connect();
      return PutPattern(client, 2, kSmall).status().Is(StatusCode::kInternal) ? 0 : 1;
    });
    EXPECT_EQ(other.Wait(), 0) << "a request that ended an engine is not run again";
    ASSERT_OK(PutPattern(*client_, 3, kLarge, "more"));
    const InstanceStatus now = client_->GetStatus().value();
    EXPECT_TRUE(now.former_program);
    EXPECT_FALSE(now.on_probation);
    EXPECT_EQ(Running(), first);
    daemon_->KillEngine();
    EXPECT_TRUE(HoldsPattern(client_->Get("large"), 1, kLarge));
    EXPECT_EQ(Running(), first) << "what failed is not tried again by itself";
  }
  EXPECT_THAT(daemon_->log(), HasSubstr("ended by a fault soon after"));
}

TEST_F(Upgrade, AProgramThatHangsBeforeItServesIsEndedAndFollowedByTheOneBefore) {
  const std::string program = folder_.path() + "/another";
  fs::copy_file(TestDaemon::Program(), program);
  const TestDaemon daemon({.size = "64Mi",
                           .flags = {},
                           .environment = {{"VINEYARD_START_MS", "100"}},
                           .program = program,
                           .descriptors = {},
                           .user = {}});
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kLarge, "large"));
  std::ofstream(program + ".new") << "#!/bin/sh\ncase \"$*\" in *--self_test*) exec "
                                  << TestDaemon::Program()
                                  << " \"$@\";; esac\nexec sleep 1000000\n";
  fs::permissions(program + ".new", fs::perms(0755));
  fs::rename(program + ".new", program);
  const auto upgraded = client.Upgrade();
  ASSERT_OK(upgraded);
  EXPECT_TRUE(upgraded->former_program);
  EXPECT_TRUE(HoldsPattern(client.Get("large"), 1, kLarge));
  EXPECT_THAT(daemon.log(), HasSubstr("it did not begin to serve in time"));
}

TEST_F(Upgrade, OnlyWhoManagesTheInstanceMayAsk) {
  const std::string folder = daemon_->folder() + "/data";
  VolumeOptions volume;
  volume.read_only_socket = folder + "/readers.sock";
  ASSERT_OK(client_->CreateVolume("data", folder, volume));
  for (const char* socket : {"/vineyard.sock", "/readers.sock"}) {
    ASSERT_OK_AND_ASSIGN(Client other, Client::Connect(folder + socket));
    EXPECT_CODE(kPermissionDenied, other.Upgrade());
  }
  EXPECT_EQ(client_->GetStatus().value().generation, 1U);
}

}  // namespace
}  // namespace vineyard::testing
