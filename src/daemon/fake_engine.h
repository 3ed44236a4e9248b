// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of the keeper: a program that behaves like an engine towards its keeper, and otherwise does
// what the test tells it, line by line, over a socket that the test listens on.
//
// It begins by saying what it was started with: "engine GENERATION START PID UUID UUID MARK FORMER PROBATION COUNT", then
// a line "KIND A B TEXT" for each thing it was given. Then it obeys, and answers each of these lines:
//
//   chunk A TEXT       hold memory that begins with the text, wait until it is held    → ok
//   chunks N TEXT      the same N times, a = 0 … N-1, in one burst                     → ok
//   catalog VOLUME     hold a catalog's first file of this generation    → a path that others can open
//   short_catalog      the same, but too short                           → the number of the StatusCode
//   listener A PATH    listen there, hold the socket                                   → ok
//   drop KIND A B      wait until it is dropped                                        → ok
//   ready              say that it serves                                              → ok
//   try                have the keeper try the program              → ok, or the status's message
//   settled            wait until its program's probation has ended well               → ok
//   ignore SIGNAL                                                                      → ok
//   outlive            do not die with the keeper                                      → ok
//
// and these, which have no answer: "die_holding N TEXT" (chunks, then SIGKILL in the same breath, with
// the keeper's answers unread), "stop" (ask the keeper to end the instance), "exit CODE", "kill SIGNAL".
#pragma once

namespace vineyard::daemon {

/// What the program on trial does (--self_test), by the variable FAKE_TRIAL: "good", "exit CODE", "kill SIGNAL",
/// "hang", "silent", "protocol", "catalog", "ledger" (of another version).
int RunFakeTrial();

/// `control` is the path of the test's socket. Ends when the test's end is closed.
int RunFakeEngine(const char* control);

}  // namespace vineyard::daemon
