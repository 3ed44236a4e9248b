// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ballast.h"

#include <algorithm>

#include "os/memfd.h"
#include "store/touch.h"

namespace vineyard::store {

Result<std::unique_ptr<Ballast>> Ballast::Make(uint64_t bytes) {
  std::unique_ptr<Ballast> ballast(new Ballast());
  const uint64_t size = std::max(bytes, os::PageSize()) / os::PageSize() * os::PageSize();
  VY_ASSIGN_OR_RETURN(ballast->fd_, os::CreateMemfd("vineyard-reserve", size));
  VY_ASSIGN_OR_RETURN(ballast->mapping_,
                      os::Mapping::Open(ballast->fd_, size, os::Access::kReadWrite));
  VY_RETURN_IF_ERROR(TouchAll(std::span(&ballast->mapping_, 1)));
  ballast->present_ = size;
  return ballast;
}

void Ballast::Yield(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t given = std::min(os::RoundUp(bytes, os::kHugePage), present_);
  present_ = (present_ - given) / os::PageSize() * os::PageSize();
  os::Punch(fd_, present_, mapping_.size() - present_).IgnoreError();  // then it is reserved twice
}

void Ballast::Recover(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t wanted = std::min(os::RoundUp(bytes, os::kHugePage), mapping_.size() - present_);
  // Another program was faster: the promise shrinks, what is stored does not suffer.
  if (!mapping_.Populate(os::Access::kReadWrite, present_, wanted).ok()) return;
  present_ += wanted;
}

uint64_t Ballast::PagesHeld() {
  const std::lock_guard lock(mutex_);
  const auto present = os::BytesPresent(fd_);
  return present.ok() ? *present : 0;
}

}  // namespace vineyard::store
