// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// SyscallFilter: a list of the system calls that a process may still make (seccomp).
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "vineyard/status.h"

namespace vineyard::os {

/// What one argument of a call must be. The kernel's filter sees numbers only, never what an address points
/// to. All tests but kIsZero look at the low 32 bits: for arguments that are ints, or whose bits of meaning lie
/// there.
struct ArgumentTest {
  enum class Kind : uint8_t { kIsOneOf, kHasAllOf, kHasNoneOf, kIsZero };
  unsigned argument = 0;  ///< 0 … 5
  Kind kind = Kind::kIsZero;
  std::vector<uint32_t> values;  ///< of kHasAllOf and kHasNoneOf: bits, in one value
};

class SyscallFilter {
 public:
  void Allow(std::initializer_list<long> calls);
  /// Where all tests hold; else the call fails with EPERM. REQUIRES: named once.
  void AllowWhere(long call, std::vector<ArgumentTest> tests);
  /// The call fails with `error` instead of EPERM.
  void Refuse(long call, int error);

  /// Puts the list in force, for this thread and for all threads and processes that it starts. What is not
  /// on it fails with EPERM; what is newer than this list, with ENOSYS, so that libc does what it does on
  /// older kernels; what is made by the rules of another processor ends the process (SIGSYS).
  /// kNotSupported where the kernel cannot, or for this processor nobody has made a list.
  /// REQUIRES: ForbidNewPrivileges().
  [[nodiscard]] Status PutInForce() const;

 private:
  [[nodiscard]] std::vector<sock_filter> Program() const;

  struct Rule {
    long call;
    std::vector<ArgumentTest> tests;
  };
  std::vector<long> allowed_;
  std::vector<Rule> tested_;
  struct Refusal {
    long call;
    int error;
  };
  std::vector<Refusal> refused_;
};

}  // namespace vineyard::os
