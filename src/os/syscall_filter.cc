// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Note [The filter's program]
//
// The kernel runs it at each call, with the number, the processor's rules by which the call was made, and
// six arguments. It is a row of blocks, one for each call: "if that is not the number, go to the next
// block", tests that end with an answer, and an answer. So a block never falls into the next one, every
// jump is short (it has 8 bits), and the number is lost only where it is no longer needed. The kernel finds out
// by itself which calls are answered whatever their arguments, and does not run the program for those.
#include "os/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "os/fd.h"

namespace vineyard::os {

namespace {

#if defined(__x86_64__)
constexpr uint32_t kProcessor = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kProcessor = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kProcessor = 0;
#endif

static_assert(std::endian::native == std::endian::little, "LowWord is the first half");

// The newest call of Linux 6.1, which is what this list was made with. From 424 on numbers are the same on
// all processors.
constexpr uint32_t kNewestKnown = 450;
// x86-64 only: calls with 32-bit addresses.
constexpr uint32_t kX32 = 0x40000000;

class Assembler {
 public:
  // `yes` and `no`: how many instructions to skip.
  void Jump(uint16_t test, uint32_t value, uint8_t yes, uint8_t no) {
    program_.push_back({static_cast<uint16_t>(BPF_JMP | test | BPF_K), yes, no, value});
  }
  void Load(size_t offset) {
    program_.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)});
  }
  void LoadLow(unsigned argument) { Load(offsetof(seccomp_data, args) + argument * sizeof(__u64)); }
  void LoadHigh(unsigned argument) {
    Load(offsetof(seccomp_data, args) + argument * sizeof(__u64) + sizeof(__u32));
  }
  void And(uint32_t bits) { program_.push_back({BPF_ALU | BPF_AND | BPF_K, 0, 0, bits}); }
  void Answer(uint32_t answer) { program_.push_back({BPF_RET | BPF_K, 0, 0, answer}); }
  void Fail(int error) { Answer(SECCOMP_RET_ERRNO | (static_cast<uint32_t>(error) & 0xffff)); }

  // Goes on behind it where the test holds.
  void Test(const ArgumentTest& test) {
    LoadLow(test.argument);
    switch (test.kind) {
      case ArgumentTest::Kind::kIsOneOf:
        for (size_t left = test.values.size(); left > 0; --left) {
          Jump(BPF_JEQ, test.values[test.values.size() - left], static_cast<uint8_t>(left), 0);
        }
        break;
      case ArgumentTest::Kind::kHasAllOf:
        And(test.values.at(0));
        Jump(BPF_JEQ, test.values.at(0), 1, 0);
        break;
      case ArgumentTest::Kind::kHasNoneOf: Jump(BPF_JSET, test.values.at(0), 0, 1); break;
      case ArgumentTest::Kind::kIsZero:
        Jump(BPF_JEQ, 0, 1, 0);
        Fail(EPERM);
        LoadHigh(test.argument);
        Jump(BPF_JEQ, 0, 1, 0);
        break;
    }
    Fail(EPERM);
  }

  void Append(const Assembler& other) {
    program_.insert(program_.end(), other.program_.begin(), other.program_.end());
  }
  [[nodiscard]] size_t size() const { return program_.size(); }
  std::vector<sock_filter> Take() { return std::move(program_); }

 private:
  std::vector<sock_filter> program_;
};

void AppendBlock(Assembler& program, long call, const Assembler& block) {
  VY_CHECK(block.size() <= UINT8_MAX);
  program.Jump(BPF_JEQ, static_cast<uint32_t>(call), 0, static_cast<uint8_t>(block.size()));
  program.Append(block);
}

}  // namespace

void SyscallFilter::Allow(std::initializer_list<long> calls) {
  allowed_.insert(allowed_.end(), calls);
}

void SyscallFilter::AllowWhere(long call, std::vector<ArgumentTest> tests) {
  tested_.push_back({call, std::move(tests)});
}

void SyscallFilter::Refuse(long call, int error) { refused_.push_back({call, error}); }

// Note [The filter's program]. Those with tests come first: the others cost nothing wherever they are.
std::vector<sock_filter> SyscallFilter::Program() const {
  Assembler program;
  program.Load(offsetof(seccomp_data, arch));
  program.Jump(BPF_JEQ, kProcessor, 1, 0);
  program.Answer(SECCOMP_RET_KILL_PROCESS);
  program.Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  program.Jump(BPF_JGE, kX32, 0, 1);
  program.Answer(SECCOMP_RET_KILL_PROCESS);
#endif
  for (const Rule& rule : tested_) {
    Assembler block;
    for (const ArgumentTest& test : rule.tests) block.Test(test);
    block.Answer(SECCOMP_RET_ALLOW);
    AppendBlock(program, rule.call, block);
  }
  for (const long call : allowed_) {
    Assembler block;
    block.Answer(SECCOMP_RET_ALLOW);
    AppendBlock(program, call, block);
  }
  for (const Refusal& refusal : refused_) {
    Assembler block;
    block.Fail(refusal.error);
    AppendBlock(program, refusal.call, block);
  }
  program.Jump(BPF_JGT, kNewestKnown, 0, 1);
  program.Fail(ENOSYS);
  program.Fail(EPERM);
  return program.Take();
}

// SPEC_ALLOW: without it Linux before 5.16 makes the processor run more slowly from here on, against programs
// that guess at memory of their own process which they may not read. There is no such memory here.
Status SyscallFilter::PutInForce() const {
  if (kProcessor == 0) return Status::NotSupported("no list of system calls for this processor");
  std::vector<sock_filter> program = Program();
  const sock_fprog whole{static_cast<uint16_t>(program.size()), program.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &whole) ==
      0) {
    return {};
  }
  // EINVAL: not built; EPERM: a container's own filter forbids it.
  if (errno == EINVAL || errno == ENOSYS || errno == EPERM) {
    return Status::NotSupported(
        fmt::format("this kernel has no seccomp for us: {}", std::strerror(errno)));
  }
  return ErrnoStatus("cannot restrict system calls");
}

}  // namespace vineyard::os
