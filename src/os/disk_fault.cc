// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/disk_fault.h"

namespace vineyard::os {

std::atomic<bool> g_disk_fault_set = false;

namespace {
std::atomic<DiskCall> g_call = DiskCall::kCreate;
std::atomic<int> g_error = 0;
std::atomic<int64_t> g_left = 0;  // calls until the first that fails
std::atomic<FaultLasts> g_lasts = FaultLasts::kFromThenOn;
}  // namespace

void SetDiskFault(DiskCall call, int error, int64_t n, FaultLasts lasts) {
  g_call = call;
  g_error = error;
  g_left = n;
  g_lasts = lasts;
  g_disk_fault_set = true;
}

bool ClearDiskFault() { return g_disk_fault_set.exchange(false) && g_left.load() <= 0; }

int DiskFaultSlow(DiskCall call) {
  if (call != g_call.load()) return 0;
  const int64_t left = --g_left;
  const bool fails = g_lasts.load() == FaultLasts::kOnce ? left == 0 : left <= 0;
  return fails ? g_error.load() : 0;
}

}  // namespace vineyard::os
