// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names in a spill folder besides those of spill files.
#pragma once

namespace vineyard::spill {

inline constexpr const char* kLockName = "lock";
inline constexpr const char* kIdentityName = "identity";
inline constexpr const char* kIdentityPartName = "identity.part";
inline constexpr const char* kDamagedName = "damaged";

}  // namespace vineyard::spill
