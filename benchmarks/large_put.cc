// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How fast is the put of a large array, against the least that anybody could do: memcpy into fresh
// shared pages of the same kind (a new memory file that asks for huge pages), with as many threads?
//
// Both are done in turn, several times, in one run; the ratio of each pair is what counts. Starts the
// vineyardd of its own build, with the flags that it was given: large_put [--out=FILE] [FLAG]…
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "client/copy.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "vineyard/vineyard.h"

namespace {

using vineyard::Client;
using vineyard::ConnectOptions;
using vineyard::ObjectBuilder;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What a put can't do without: pages nobody has touched, filled by the same copying code.
double CopyIntoFreshPages(std::span<const std::byte> source) {
  const double begin = Now();
  auto fd = vineyard::os::CreateMemfd("bench", source.size()).value();
  auto mapping =
      vineyard::os::Mapping::Open(fd, source.size(), vineyard::os::Access::kReadWrite).value();
  const vineyard::client::CopyJob job{mapping.data(), source};
  if (!vineyard::client::CopyAll(std::span(&job, 1)).ok()) std::abort();
  const double took = Now() - begin;
  return took;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int Run(const std::string& socket, const std::string& out) {
  constexpr size_t kSize = size_t{1} << 30;
  constexpr int kRounds = 7;
  auto client = Client::Connect(ConnectOptions{
      .socket = socket, .wait_for_instance = std::chrono::seconds(60), .interrupted = {}});
  if (!client.ok()) {
    std::fprintf(stderr, "large_put: %s\n", client.status().ToString().c_str());
    return 1;
  }
  std::vector<std::byte> source(kSize, std::byte{42});
  std::vector<double> put_ms, copy_ms, ratio;
  for (int i = 0; i < kRounds; ++i) {
    const double copy = CopyIntoFreshPages(source);
    const double begin = Now();
    auto id = client->Put(ObjectBuilder("bench").AddBuffer(source));
    const double put = Now() - begin;
    if (!id.ok()) {
      std::fprintf(stderr, "large_put: %s\n", id.status().ToString().c_str());
      return 1;
    }
    (void)client->Delete({*id});
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // its memory is being closed
    put_ms.push_back(put * 1e3);
    copy_ms.push_back(copy * 1e3);
    ratio.push_back(copy / put);
  }
  std::printf("put of 1 GiB          %7.1f ms (median of %d)\n", Median(put_ms), kRounds);
  std::printf("memcpy, fresh pages   %7.1f ms\n", Median(copy_ms));
  std::printf("rate against memcpy   %7.2f (median of the pairs)\n", Median(ratio));
  if (FILE* f = out.empty() ? nullptr : std::fopen(out.c_str(), "w")) {
    std::fprintf(f, "{\"put_ms\": %.3f, \"memcpy_ms\": %.3f, \"ratio\": %.4f, \"rounds\": %d}\n",
                 Median(put_ms), Median(copy_ms), Median(ratio), kRounds);
    std::fclose(f);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
  std::string folder = std::filesystem::temp_directory_path() / "vineyard-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const std::string socket = folder + "/vineyard.sock";
  std::vector<std::string> command = {here.parent_path() / "bin/vineyardd", "--size=4Gi",
                                      "--log_level=warning"};
  std::string out;
  for (const std::string_view flag : std::span(argv, static_cast<size_t>(argc)).subspan(1)) {
    constexpr std::string_view kOut = "--out=";
    if (flag.starts_with(kOut)) {
      out = flag.substr(kOut.size());
    } else {
      command.emplace_back(flag);
    }
  }
  command.push_back("--socket=" + socket);
  const pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) {
    std::vector<char*> words;
    for (std::string& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    execv(words[0], words.data());
    _exit(127);
  }
  const int code = Run(socket, out);
  kill(pid, SIGTERM);
  waitpid(pid, nullptr, 0);
  std::filesystem::remove_all(folder);
  return code;
}
