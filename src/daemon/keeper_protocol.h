// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What keeper and engine say to each other, over a SOCK_SEQPACKET pair: one KeeperMessage and at most
// one descriptor in each packet. Fixed layout and a version, so that an engine of a newer program can
// take over from an older keeper.
//
// Start of an engine: keeper → engine: one kHello, a kItem with its descriptor for everything held,
// kInventoryEnd. Then engine → keeper: kHold and kDrop as things come and go, kReady once it serves.
//
// A kHold is safe once sendmsg has returned: the kernel keeps the descriptor in the socket even if the
// engine dies at the next instruction, and the keeper reads all that is there before it starts another
// engine. The keeper answers kHold with kHeld where the message's sequence is not 0 (a catalog must
// have its keeper page mapped before it is sealed), and kDrop with kDropped, likewise, after closing.
// An answer repeats the message's sequence, kind, a and b; its c is 0, or the StatusCode that says why
// the thing is not held.
#pragma once

#include <cstdint>

#include "store/memory_keeper.h"

namespace vineyard::daemon {

inline constexpr uint32_t kKeeperProtocolVersion = 1;

enum class KeeperOp : uint32_t {
  kHello = 1,  // keeper → engine: a = generation, b = KeeperStart, c,d = instance uuid,
               // e = descriptors that the keeper may have (0: it does not say), f = 1:
               // this is the program that served before, as the present one does not
  kItem = 2,   // keeper → engine: one thing held, with its descriptor
  kInventoryEnd =
      3,          // keeper → engine: a = number of items sent, b = 1: its program is on probation
  kHold = 4,      // engine → keeper: hold this (replaces an item of the same kind, a and b)
  kHeld = 5,      // keeper → engine: the hold with this sequence is done
  kDrop = 6,      // engine → keeper: close the item of this kind, a and b
  kDropped = 7,   // keeper → engine: the drop with this sequence is done
  kReady = 8,     // engine → keeper: it serves, and writes catalogs of version a, ledgers of b
  kStop = 9,      // engine → keeper: end the instance (asked for by its owner)
  kTry = 10,      // engine → keeper: try the program that would be started next
  kTried = 11,    // keeper → engine: answers it: c = TrialOutcome, d = what that says
  kCapable = 12,  // program on trial → keeper: it reads catalogs of version a to b, ledgers of
                  // c to d
  kSettled = 13,  // keeper → engine: its program's probation has ended well
};

/// Which formats an engine writes, as it says in kReady.
struct Formats {
  uint64_t catalog = 1;
  uint64_t ledger = 1;
  friend bool operator==(const Formats&, const Formats&) = default;
};

/// What became of a program's trial.
enum class TrialOutcome : uint64_t {
  kGood = 0,
  kBusy = 1,           // another is on trial
  kNotStarted = 2,     // no process could be made
  kExited = 3,         // with this code; 127: there is no such program, or it cannot be run
  kKilled = 4,         // by this signal
  kSlow = 5,           // it did not end
  kSilent = 6,         // it ended well, and said nothing
  kOtherProtocol = 7,  // it speaks this version of the keeper's protocol
  kOtherCatalog = 8,   // it does not read catalogs of this version, which are in use
  kOtherLedger = 9,    // likewise, ledgers
};

/// Why an engine is started.
enum class KeeperStart : uint64_t {
  kFirst = 0,  // the instance begins
  kAfterFault =
      1,  // the last one ended by a fault signal (SEGV, ABRT, BUS, ILL, FPE) or an exit code
  kAfterKill = 2,  // by SIGKILL, or it was asked to make room for a newer program
};

/// What is held, and what a … f of a message mean for it.
using KeptKind = store::HeldKind;

struct KeeperMessage {
  uint32_t version = kKeeperProtocolVersion;
  KeeperOp op{};
  uint64_t sequence = 0;  // of the engine's messages; 0: no answer wanted
  KeptKind kind{};
  uint32_t padding = 0;
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
  uint64_t d = 0;
  uint64_t e = 0;
  uint64_t f = 0;
};
static_assert(sizeof(KeeperMessage) == 72, "crosses processes of different versions");

}  // namespace vineyard::daemon
