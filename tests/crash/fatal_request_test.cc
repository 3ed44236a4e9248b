// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A request that ends the engine by a fault is answered with an error, and never run again: one bad
// request is one restart, whoever sends it.
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

DaemonOptions Faulty(const std::string& place, const std::string& generations = "1") {
  return {.environment = {{"VINEYARD_CRASH_AT", place},
                          {"VINEYARD_CRASH_SIGNAL", std::to_string(SIGSEGV)},
                          {"VINEYARD_CRASH_GENERATION", generations}}};
}

uint64_t GenerationOf(Client& client) {
  auto status = client.GetStatus();
  EXPECT_OK(status);
  return status.ok() ? status->generation : 0;
}

TEST(FatalRequest, AChangeIsNotMadeAndNotTriedAgain) {
  const TestDaemon daemon(Faulty("put.staged"));
  Client client = daemon.Connect();
  const auto failed = PutPattern(client, 1, kSmall, "fatal");
  EXPECT_CODE(kInternal, failed);
  EXPECT_NE(failed.status().message().find("is not run again"), std::string::npos)
      << failed.status().message();
  EXPECT_CODE(kNotFound, client.Get("fatal"));
  EXPECT_EQ(GenerationOf(client), 2u);
  // Any other request is, of this client too.
  ASSERT_OK(PutPattern(client, 2, kSmall, "fatal"));
  EXPECT_TRUE(HoldsPattern(client.Get("fatal"), 2, kSmall));
  EXPECT_EQ(GenerationOf(client), 2u);
}

TEST(FatalRequest, AQuestionIsNotAskedAgain) {
  const TestDaemon daemon(Faulty("status.begun"));
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "kept"));
  EXPECT_CODE(kInternal, client.GetStatus());
  EXPECT_EQ(GenerationOf(client), 2u);
  EXPECT_TRUE(HoldsPattern(client.Get("kept"), 1, kSmall));
}

TEST(FatalRequest, WhatWasCommittedBeforeTheFaultHasHappenedOnce) {
  for (const char* place : {"commit.published", "commit.noted", "commit.cleared", "reply.before"}) {
    const TestDaemon daemon(Faulty(place));
    Client client = daemon.Connect();
    ASSERT_OK(PutPattern(client, 1, kSmall, "done")) << place;
    EXPECT_TRUE(HoldsPattern(client.Get("done"), 1, kSmall)) << place;
    EXPECT_EQ(client.GetName("done").value().version, 1u) << place;
    EXPECT_EQ(GenerationOf(client), 2u) << place;
  }
}

TEST(FatalRequest, WhatAnEngineWasAtWhenItWasKilledIsTriedAgain) {
  DaemonOptions options = Faulty("put.staged");
  options.environment[1].second = std::to_string(SIGKILL);
  const TestDaemon daemon(options);
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "done"));
  EXPECT_EQ(GenerationOf(client), 2u);
}

TEST(FatalRequest, AProcessThatHasEndedTwoEnginesIsServedNoMore) {
  // Of the fourth and later ones no engine would be left alive to see it.
  const TestDaemon daemon(Faulty("put.staged", "1-9"));
  const Bell go;
  Bell ready;
  Child victim([&] {
    Client client = daemon.Connect();
    ready.Ring();
    if (!go.Wait()) return 2;
    const bool served = GenerationOf(client) == 3 && client.GetStatus().ok();
    return served && daemon.Connect().GetStatus().ok() ? 0 : 1;
  });
  ASSERT_TRUE(ready.Wait());
  {
    Client client = daemon.Connect();
    EXPECT_CODE(kInternal, PutPattern(client, 1, kSmall, "first"));
    EXPECT_CODE(kPermissionDenied, PutPattern(client, 2, kSmall, "second"));
    EXPECT_CODE(kPermissionDenied, client.GetStatus());
  }  // saying goodbye makes nothing good
  const auto again = Client::Connect(daemon.socket());
  EXPECT_CODE(kPermissionDenied, again);
  EXPECT_NE(again.status().message().find("is not served any more"), std::string::npos)
      << again.status().message();
  go.Ring();
  EXPECT_EQ(victim.Wait(), 0);
}

TEST(FatalRequest, GoodbyeAndAnotherClientOfTheProcessMakeNothingGood) {
  const TestDaemon daemon(Faulty("put.staged", "1-9"));
  {
    Client first = daemon.Connect();
    EXPECT_CODE(kInternal, PutPattern(first, 1, kSmall, "first"));
    ASSERT_OK(first.GetStatus());
  }
  Client second = daemon.Connect();
  EXPECT_CODE(kPermissionDenied, PutPattern(second, 2, kSmall, "second"));
}

TEST(FatalRequest, TheCountGoesOnInLaterEngines) {
  TestDaemon daemon(Faulty("put.staged", "1-9"));
  Client client = daemon.Connect();
  EXPECT_CODE(kInternal, PutPattern(client, 1, kSmall, "first"));
  daemon.KillEngine();
  EXPECT_EQ(GenerationOf(client), 3u);
  EXPECT_CODE(kPermissionDenied, PutPattern(client, 2, kSmall, "second"));
}

}  // namespace
}  // namespace vineyard::testing
