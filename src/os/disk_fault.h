// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Disk faults: a test makes the n-th call of a kind fail as a broken or full disk would.
//
// Like crash points (os/crash_point.h) they are in the program that is shipped: what is tested is what
// runs. Nothing but a test sets one; off, one costs a load.
#pragma once

#include <atomic>
#include <cstdint>

namespace vineyard::os {

enum class DiskCall : uint8_t {
  kCreate,
  kOpen,
  kReserve,
  kWrite,
  kRead,
  kSync,
  kRename,
  kRemove,
  kList,
  kGarble,  // no failure: a read that returns other bytes
  kDirect,  // no failure: a file system that knows no O_DIRECT
};
inline constexpr uint8_t kFailingDiskCalls = 9;

enum class FaultLasts : uint8_t { kOnce, kFromThenOn };
/// The `n`-th call of that kind from now on (1: the next one) fails with `error` (an errno), and those after
/// it if it lasts. REQUIRES: no thread is in such a call.
void SetDiskFault(DiskCall call, int error, int64_t n = 1,
                  FaultLasts lasts = FaultLasts::kFromThenOn);
/// No call fails any more. Returns whether one did since SetDiskFault.
bool ClearDiskFault();

extern std::atomic<bool> g_disk_fault_set;
int DiskFaultSlow(DiskCall call);
/// The errno with which to fail; 0: go on.
inline int DiskFault(DiskCall call) {
  if (g_disk_fault_set.load(std::memory_order_relaxed)) [[unlikely]]
    return DiskFaultSlow(call);
  return 0;
}

}  // namespace vineyard::os
