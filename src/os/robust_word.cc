// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/robust_word.h"

#include "os/fd.h"

namespace vineyard::os {

Status HoldRobustWord(RobustWord* word) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  int error = pthread_mutex_init(&word->mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  if (error == 0) error = pthread_mutex_lock(&word->mutex);
  if (error != 0) return ErrnoStatus("cannot hold a robust word", error);
  return {};
}

void ReleaseRobustWord(RobustWord* word) { pthread_mutex_unlock(&word->mutex); }

}  // namespace vineyard::os
