// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RobustWord: a word in shared memory that the kernel marks when the thread that holds it dies.
//
// It is a process-shared robust mutex that its holder locks once, and unlocks only before it takes the
// mapping away. However the holder ends (SIGKILL included), the kernel sets FUTEX_OWNER_DIED in the
// word, and a reader sees that with one load through a read-only mapping. Readers never lock.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "vineyard/status.h"

namespace vineyard::os {

struct RobustWord {
  alignas(64) pthread_mutex_t mutex;  // its first word is the futex
};
static_assert(sizeof(RobustWord) == 64, "lies in shared memory");
static_assert(offsetof(pthread_mutex_t, __data) == 0 &&
                  offsetof(struct __pthread_mutex_s, __lock) == 0,
              "glibc keeps the futex in the mutex's first word");

/// Makes the calling thread the holder. REQUIRES: a writable shared mapping that outlives the thread.
/// At most 2000 of them a thread: the kernel stops walking a longer list.
Status HoldRobustWord(RobustWord* word);
/// Its readers find it dead from now on. REQUIRES: the calling thread holds it.
void ReleaseRobustWord(RobustWord* word);

/// True when the holder's thread has died, or nobody ever held it.
inline bool IsDead(const RobustWord* word) {
  constexpr uint32_t kOwnerDied = 0x40000000;
  const uint32_t value =
      __atomic_load_n(reinterpret_cast<const uint32_t*>(&word->mutex), __ATOMIC_ACQUIRE);
  return value == 0 || (value & kOwnerDied) != 0;
}

}  // namespace vineyard::os
