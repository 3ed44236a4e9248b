// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// One round trip over a unix stream socket between two sleeping processes: what any request costs at
// least on this machine, nearly all of it waking up. Prints microseconds (the median of batches).
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main() {
  constexpr int kBatches = 15;
  constexpr int kTrips = 2000;
  constexpr size_t kBytes = 128;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
  const pid_t child = fork();
  if (child < 0) return 1;
  char buffer[kBytes] = {};
  if (child == 0) {
    close(fds[0]);
    while (read(fds[1], buffer, sizeof buffer) > 0) {
      if (write(fds[1], buffer, sizeof buffer) < 0) break;
    }
    _exit(0);
  }
  close(fds[1]);
  std::vector<double> batches;
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kTrips; ++i) {
      if (write(fds[0], buffer, sizeof buffer) < 0) return 1;
      if (read(fds[0], buffer, sizeof buffer) <= 0) return 1;
    }
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    batches.push_back(took.count() / kTrips);
  }
  close(fds[0]);
  waitpid(child, nullptr, 0);
  std::ranges::sort(batches);
  std::printf("%.2f\n", batches[batches.size() / 2]);
}
