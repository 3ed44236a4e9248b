// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// client/: puts and gets from C++ against an instance of the same build, which this program starts and
// ends; and the round trip between two processes that any request costs at least.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vineyard/vineyard.h"

namespace {

using vineyard::Client;
using vineyard::ObjectBuilder;
using vineyard::ObjectId;

std::string socket_path;  // of the instance of main()

// One client for each benchmark: what one has mapped makes none of the others faster.
std::optional<Client> Connected(benchmark::State& state) {
  auto client = Client::Connect(vineyard::ConnectOptions{
      .socket = socket_path, .wait_for_instance = std::chrono::seconds(60), .interrupted = {}});
  if (client.ok()) return std::move(*client);
  state.SkipWithError(client.status().ToString().c_str());
  return std::nullopt;
}

// Objects of one buffer, deleted with the fixture.
class Objects {
 public:
  Objects(Client& client, benchmark::State& state, int count) : client_(client) {
    bytes_.resize(static_cast<size_t>(state.range(0)), std::byte{42});
    for (int i = 0; i < count && Put(state); ++i) {
    }
  }
  ~Objects() { DeleteAll(); }
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;

  bool Put(benchmark::State& state) {
    auto id = client_.Put(ObjectBuilder("benchmark").AddBuffer(bytes_));
    if (id.ok()) {
      ids_.push_back(*id);
      return true;
    }
    state.SkipWithError(id.status().ToString().c_str());
    return false;
  }
  void DeleteAll() {
    if (!ids_.empty()) (void)client_.Delete(ids_);
    ids_.clear();
  }
  [[nodiscard]] const std::vector<ObjectId>& ids() const { return ids_; }

 private:
  Client& client_;
  std::vector<std::byte> bytes_;
  std::vector<ObjectId> ids_;
};

void Get(benchmark::State& state) {
  auto client = Connected(state);
  if (!client) return;
  const Objects objects(*client, state, 100);
  size_t next = 0;
  for (auto _ : state) {
    auto object = client->Get(objects.ids()[next++ % objects.ids().size()]);
    if (!object.ok()) {
      state.SkipWithError(object.status().ToString().c_str());
      break;
    }
    benchmark::DoNotOptimize(object->buffers().front().data());
  }
}
BENCHMARK(Get)->Arg(100)->Arg(65536)->Arg(1 << 20);

// Among that many objects of 100 bytes, in an order that the processor can't foresee. They stay, for the
// next call of this function to add to.
void GetAmong(benchmark::State& state) {
  static std::vector<ObjectId> there;
  auto client = Connected(state);
  if (!client) return;
  const std::vector<std::byte> bytes(100, std::byte{42});
  constexpr size_t kAtOnce = 10'000;
  while (there.size() < static_cast<size_t>(state.range(0))) {
    const size_t more = std::min(kAtOnce, static_cast<size_t>(state.range(0)) - there.size());
    const std::vector<ObjectBuilder> builders(more, ObjectBuilder("benchmark").AddBuffer(bytes));
    for (const auto& id : client->PutMany(builders)) {
      if (!id.ok()) return state.SkipWithError(id.status().ToString().c_str());
      there.push_back(*id);
    }
  }
  uint64_t random = 88172645463325252;  // xorshift
  for (auto _ : state) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    auto object = client->Get(there[random % there.size()]);
    if (!object.ok()) return state.SkipWithError(object.status().ToString().c_str());
    benchmark::DoNotOptimize(object->buffers().front().data());
  }
}

void Exists(benchmark::State& state) {
  auto client = Connected(state);
  if (!client) return;
  const Objects objects(*client, state, 1);
  for (auto _ : state) benchmark::DoNotOptimize(client->Exists(objects.ids().front()));
}
BENCHMARK(Exists)->Arg(100);

void Put(benchmark::State& state) {
  auto client = Connected(state);
  if (!client) return;
  Objects objects(*client, state, 0);
  const size_t enough = (size_t{256} << 20) / static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    if (!objects.Put(state)) break;
    if (objects.ids().size() == std::min<size_t>(enough, 10'000)) {
      state.PauseTiming();
      objects.DeleteAll();
      state.ResumeTiming();
    }
  }
}
BENCHMARK(Put)->Arg(100)->Arg(65536)->Arg(1 << 20)->UseRealTime();

// Over a socket, between two processes that sleep until the other's bytes come.
void RoundTrip(benchmark::State& state) {
  constexpr size_t kBytes = 128;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return state.SkipWithError("socketpair");
  const pid_t child = fork();
  char buffer[kBytes] = {};
  if (child == 0) {
    close(fds[0]);
    while (read(fds[1], buffer, kBytes) > 0 && write(fds[1], buffer, kBytes) > 0) {
    }
    _exit(0);
  }
  close(fds[1]);
  for (auto _ : state) {
    if (write(fds[0], buffer, kBytes) < 0 || read(fds[0], buffer, kBytes) <= 0) {
      state.SkipWithError("the other process ended");
      break;
    }
  }
  close(fds[0]);
  waitpid(child, nullptr, 0);
}
BENCHMARK(RoundTrip)->UseRealTime();

// Last, since its objects stay.
BENCHMARK(GetAmong)->Arg(10)->Arg(10'000)->Arg(1'000'000);

// The vineyardd beside this program's folder, as a child that ends with it.
pid_t StartInstance() {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  const std::string program = here.parent_path() / "bin/vineyardd";
  const std::string socket = "--socket=" + socket_path;
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  execl(program.c_str(), program.c_str(), socket.c_str(), "--size=2Gi", "--log_level=warning",
        nullptr);
  _exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  std::string folder = std::filesystem::temp_directory_path() / "vineyard-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  socket_path = folder + "/vineyard.sock";
  const pid_t instance = StartInstance();
  if (instance > 0) {
    benchmark::RunSpecifiedBenchmarks();
    kill(instance, SIGTERM);
    waitpid(instance, nullptr, 0);
  }
  std::filesystem::remove_all(folder);
  return instance > 0 ? 0 : 1;
}
