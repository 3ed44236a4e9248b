// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#pragma once

#include "messages_generated.h"
#include "vineyard/figures.h"

namespace vineyard::client {

ClientInfo ToClientInfo(const fb::ClientEntry& entry);

}  // namespace vineyard::client
