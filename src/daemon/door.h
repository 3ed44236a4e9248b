// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Door: the socket through which a connection came. It says whose objects a client may see, and whether it may
// change them; nothing that a client sends says more.
#pragma once

#include <compare>
#include <cstdint>

#include "messages_generated.h"

namespace vineyard::daemon {

/// The numbers are those by which the keeper tells a volume's listening sockets apart.
enum class Rights : uint8_t { kAll = 0, kRead = 1 };

struct Door {
  uint64_t volume = 0;
  Rights rights = Rights::kAll;
  friend auto operator<=>(const Door&, const Door&) = default;
};

/// Whether the request may be made where only reading is allowed. To read a stream is to take from it.
constexpr bool OnlyReads(fb::RequestBody request) {
  switch (request) {
    case fb::RequestBody::Hello:
    case fb::RequestBody::Get:
    case fb::RequestBody::OpenExtents:
    case fb::RequestBody::OpenCatalog:
    case fb::RequestBody::Released:
    case fb::RequestBody::ListNames:
    case fb::RequestBody::ListObjects:
    case fb::RequestBody::GetStatus:
    case fb::RequestBody::GetStream:
    case fb::RequestBody::GetPlaces:
    case fb::RequestBody::ListClients:
    case fb::RequestBody::ListWaits:
    case fb::RequestBody::GetFigures:
    case fb::RequestBody::GetTrace:
    case fb::RequestBody::OpenRing:
    case fb::RequestBody::Cancel:
    case fb::RequestBody::Goodbye: return true;
    case fb::RequestBody::NONE:
    case fb::RequestBody::Put:
    case fb::RequestBody::Reserve:
    case fb::RequestBody::Abort:
    case fb::RequestBody::PutName:
    case fb::RequestBody::DropName:
    case fb::RequestBody::Delete:
    case fb::RequestBody::SetLabels:
    case fb::RequestBody::CreateVolume:
    case fb::RequestBody::ListVolumes:
    case fb::RequestBody::RemoveVolume:
    case fb::RequestBody::CreateStream:
    case fb::RequestBody::OpenStream:
    case fb::RequestBody::PushChunk:
    case fb::RequestBody::NextChunk:
    case fb::RequestBody::AwaitRoom:
    case fb::RequestBody::EndStream:
    case fb::RequestBody::LeaveStream:
    case fb::RequestBody::DropStream:
    case fb::RequestBody::ShareIdle:
    case fb::RequestBody::PlaceObjects:
    case fb::RequestBody::Upgrade: return false;
  }
  return false;  // a number that this version does not know
}

}  // namespace vineyard::daemon
