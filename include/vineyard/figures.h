// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Figures: what an instance says of itself: who is there, what they hold, what waits, how long requests took.
//
// All sizes are bytes. Who asks about all volumes comes through the instance's first socket and is its owner or
// root; else the call is kPermissionDenied. Everybody else asks about the volume of his socket.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "vineyard/ids.h"
#include "vineyard/status.h"

namespace vineyard {

/// One Client of one process, as the instance knows it.
struct ClientInfo {
  uint64_t number = 0;  ///< In this instance, until its process ends.
  std::string volume;
  uint64_t pid =
      0;  ///< As the instance sees it; 0: in a namespace of processes that it can't see into.
  uint64_t uid = 0;
  std::string program;  ///< As the client says, which nobody has checked.
  std::string pod;      ///< Likewise, "namespace/name"; empty outside of Kubernetes.
  bool connected = false;
  bool read_only = false;
  std::chrono::milliseconds known_for{0};  ///< To the present engine.
  uint64_t mapped_bytes = 0;               ///< Memory that it has open; several may have the same.
  uint64_t mapped_blobs = 0;
  uint64_t writing_bytes = 0;  ///< Reserved, and not put yet.
  uint64_t idle_bytes = 0;     ///< That it keeps for later, and gives up when somebody needs it.
  uint64_t pinned_bytes = 0;
  uint64_t waiting = 0;   ///< Its requests that have no answer yet.
  uint64_t requests = 0;  ///< Answered, since it connected.
};

/// A request that waits for something other than the instance itself.
struct WaitInfo {
  enum class Kind : uint8_t {
    kMemory,  ///< `bytes` of memory that nobody has free.
    kQuota,   ///< `bytes` of its volume's quota.
    kDisk,    ///< `bytes` to come back from the disk, or to go there.
    kName,    ///< `name` to be put.
    kStream,  ///< A chunk of the stream `object`.
    kRoom,    ///< Room in the stream `object`.
  };
  Kind kind{};
  std::string request;  ///< "Put", "Get", …
  std::string volume;
  uint64_t client = 0;  ///< ClientInfo::number
  uint64_t pid = 0;
  uint64_t request_id = 0;
  std::string name;
  ObjectId object;
  uint64_t bytes = 0;
  std::chrono::milliseconds since{0};
  std::chrono::milliseconds left{0};  ///< Until its deadline.
};
std::string_view WaitKindName(WaitInfo::Kind kind);

/// Requests of one kind since the engine began, and how long each took: from when the engine read it until it
/// answered, waits included. Gets of what is in memory ask nobody, and are not among them.
struct RequestFigures {
  static constexpr size_t kBuckets = 28;
  std::string kind;  ///< "Put", "Get", …
  uint64_t answered = 0;
  uint64_t failed = 0;  ///< Of these.
  std::chrono::nanoseconds total{0};
  /// Number i counts those that took less than 2^i microseconds and are in no bucket before; the last one the rest.
  std::array<uint64_t, kBuckets> buckets{};
};

/// Where a volume's memory is: every page the volume holds is in one of these.
struct MemoryFigures {
  uint64_t sealed = 0;     ///< Large objects and blobs.
  uint64_t writing = 0;    ///< Reserved, and not put yet.
  uint64_t idle = 0;       ///< Kept by clients for later.
  uint64_t lingering = 0;  ///< Deleted, but still mapped by somebody.
  uint64_t moving = 0;     ///< Being made, brought back or given back.
  uint64_t records = 0;    ///< Small objects, names, descriptions.
  uint64_t slack = 0;      ///< What the arenas of these have besides.
  uint64_t catalog = 0;
};

struct VolumeFigures {
  std::string name;
  MemoryFigures memory;
  uint64_t held = 0;   ///< Their sum.
  uint64_t limit = 0;  ///< What the volume may use.
  uint64_t guaranteed = 0;
  uint64_t spilled = 0;  ///< On the disk only.
  uint64_t kept_by_names = 0;
  uint64_t objects = 0;
  uint64_t blobs = 0;
  uint64_t names = 0;
  uint64_t leases = 0;
  uint64_t connections = 0;
  uint64_t waiting = 0;  ///< Requests.
  std::vector<RequestFigures> requests;
  uint64_t refused_memory = 0;  ///< Answers that there is none.
  uint64_t refused_access = 0;
  uint64_t late = 0;     ///< Waits whose deadline passed.
  uint64_t changes = 0;  ///< While it stays, so do objects and names.
  bool durable = false;
};

struct Figures {
  std::vector<VolumeFigures> volumes;  ///< One, or all.
  uint64_t limit = 0;                  ///< --size
  uint64_t held = 0;                   ///< By all volumes.
  uint64_t ready = 0;                  ///< Beside that: pages made ahead.
  uint64_t chunks_ready = 0;           ///< Pieces of memory that were ready when they were wanted …
  uint64_t chunks_made = 0;            ///< … and those that had to be made then.
  uint64_t disk_bytes = 0;             ///< Of all volumes' files.
  uint64_t loads = 0;
  uint64_t evictions = 0;
  uint64_t damaged = 0;
  std::chrono::milliseconds engine_for{0};  ///< Since the engine began.
  uint64_t generation = 0;                  ///< Grows with each start of the engine.
  uint64_t heap_bytes = 0;                  ///< That requests and answers take in the engine.
  uint64_t memory_files = 0;
};

/// A request that was answered.
struct TracedRequest {
  uint64_t sequence = 0;
  uint64_t request_id = 0;  ///< Counted by the client.
  uint64_t client = 0;      ///< ClientInfo::number
  uint64_t pid = 0;
  std::string kind;
  std::string volume;  ///< Empty: it is gone.
  uint64_t bytes = 0;  ///< Of the request.
  int64_t begun_unix_ns = 0;
  std::chrono::nanoseconds took{0};    ///< In the engine, until it was answered.
  std::chrono::nanoseconds waited{0};  ///< Of these: for memory, the disk, a name, a stream.
  StatusCode code{};
};

struct TracePage {
  std::vector<TracedRequest> requests;
  uint64_t last = 0;  ///< Ask for what comes after this one next.
  /// Forgotten before and among these: the instance remembers some thousands, and longer what was slow or failed.
  uint64_t missed = 0;
  bool more = false;
};

}  // namespace vineyard
