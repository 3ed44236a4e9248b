// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory files: making, sealing, reopening, and asking the kernel who still has one.
//
// Facts this file stands on, each checked by memfd_test:
//  * without SHRINK and GROW seals any holder of any descriptor can truncate the file under all
//    readers, so every memfd gets them at birth;
//  * the kernel refuses F_SEAL_WRITE while a shared writable mapping is left anywhere, so its success
//    proves that nobody, root included, can change the bytes again;
//  * F_SEAL_FUTURE_WRITE leaves only the mappings made before it writable;
//  * a write lease on an opening of one's own is granted only if no other opening of the file, nor a
//    mapping made through one, is left (in forked children too). Descriptors that share the opening
//    memfd_create returned are not counted.
#pragma once

#include <cstdint>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

enum class Access { kRead, kReadWrite };

/// A memory file of `size` bytes (a multiple of the page size), all zero, SHRINK and GROW sealed,
/// never executable where the kernel knows how.
Result<UniqueFd> CreateMemfd(const char* name, uint64_t size);

/// No one will ever change these bytes. kFailedPrecondition while somebody maps them writable (a
/// forked child, a page pinned by a device).
Status SealForever(const UniqueFd& fd);
/// Only mappings that exist now may write.
Status SealFutureWrites(const UniqueFd& fd);
/// True once SealForever has succeeded, by whoever called it.
Result<bool> IsSealedForever(const UniqueFd& fd);
/// True when it is a memory file that nobody can shrink or grow.
bool HasFixedSize(const UniqueFd& fd);

Result<uint64_t> FileSize(const UniqueFd& fd);
/// Bytes of the pages the file really has.
Result<uint64_t> BytesPresent(const UniqueFd& fd);

/// A new opening of the same memory with rights, offset and leases of its own.
Result<UniqueFd> Reopen(const UniqueFd& fd, Access access);

/// The kernel's word on whether anyone but the holders of memfd_create's own opening has the memory
/// open or mapped. Costs a few microseconds. The process must ignore SIGIO (see IgnoreLeaseSignals).
Result<bool> IsHeldElsewhere(const UniqueFd& fd);
void IgnoreLeaseSignals();

/// Gives the pages back at once, whoever maps them (they read zeros then). Fails on sealed memory.
Status PunchAll(const UniqueFd& fd, uint64_t size);

/// The number that tells one memory file from another.
Result<uint64_t> FileIdentity(const UniqueFd& fd);

uint64_t PageSize();
inline uint64_t RoundUp(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace vineyard::os
