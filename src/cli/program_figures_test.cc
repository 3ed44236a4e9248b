// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an instance says of itself, by the program itself.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_program.h"

namespace vineyard::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr size_t kMi = size_t{1} << 20;

ObjectBuilder Large(const std::vector<std::byte>& bytes) {
  ObjectBuilder builder("test::bytes");
  builder.AddBuffer(std::span(bytes));
  return builder;
}

TEST_F(ProgramTest, TopShowsTheLargestWithTheirPartsNamesAndUsers) {
  const std::vector<std::byte> large(4 * kMi);
  const std::vector<std::byte> small(10'000);
  const ObjectId part = Put(Large(large));
  const ObjectId whole = Put(ObjectBuilder("test::whole").AddMember("part", part), "whole\x1b[31m");
  Put(Large(small), "small");
  Client reader = Connected();
  const Result<Object> mapped = reader.Get(part);
  ASSERT_TRUE(mapped.ok());

  const json top = RunJson({"top"});
  ASSERT_EQ(top["objects"].size(), 2U) << "the part is in the whole";
  const json& first = top["objects"][0];
  EXPECT_EQ(first["id"], whole.ToString());
  EXPECT_EQ(first["bytes"], 4 * kMi);
  EXPECT_EQ(first["names"][0], "whole\x1b[31m");
  EXPECT_EQ(first["where"], "memory");
  EXPECT_EQ(first["held_by"][0]["pid"], ::getpid());
  EXPECT_EQ(first["creator"]["program"], "cli_program_test");
  EXPECT_EQ(top["more"], false);
  EXPECT_EQ(RunJson({"top", "--limit", "1"})["more"], true);
  const Ran table = Run({"top", "--limit", "1"});
  EXPECT_THAT(table.out, AllOf(HasSubstr("4.0 MiB"), HasSubstr("cli_program_test"),
                               HasSubstr("held "), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(table.err, HasSubstr("of 2 objects"));
  EXPECT_EQ(RunJson({"top", "--by", "age"})["objects"].size(), 2U);
  EXPECT_EQ(Run({"top", "--by", "weight"}).code, 2);
}

TEST_F(ProgramTest, TopShowsBlobsThatBelongToNoObject) {
  Client client = Connected();
  Result<MutableBlob> blob = client.CreateBlob(2 * kMi);
  ASSERT_TRUE(blob.ok());
  const Result<Blob> sealed = client.Seal(std::move(blob).value());
  ASSERT_TRUE(sealed.ok());
  const json top = RunJson({"top"});
  ASSERT_EQ(top["objects"].size(), 1U);
  EXPECT_EQ(top["objects"][0]["id"], sealed->id().ToString());
  EXPECT_EQ(top["objects"][0]["bytes"], 2 * kMi);
}

TEST_F(ProgramTest, DuAddsUp) {
  const std::vector<std::byte> large(4 * kMi);
  Put(Large(large));
  const json by_state = RunJson({"du"});
  uint64_t sum = 0;
  uint64_t sealed = 0;
  for (const json& group : by_state["groups"]) {
    sum += group["bytes"].get<uint64_t>();
    if (group["state"] == "sealed") sealed = group["bytes"];
  }
  EXPECT_EQ(sealed, 4 * kMi);
  EXPECT_EQ(by_state["bytes"], sum);
  EXPECT_EQ(sum, RunJson({"status"})["memory_held"]);
  EXPECT_EQ(RunJson({"du", "--by", "volume"})["groups"][0]["volume"], "default");
  EXPECT_EQ(RunJson({"du", "--by", "type"})["groups"][0]["bytes"], 4 * kMi);
  EXPECT_EQ(RunJson({"du", "--by", "age"})["groups"][0]["objects"], 1);
  EXPECT_THAT(Run({"du", "--by", "creator"}).out, HasSubstr("all"));
  EXPECT_THAT(Run({"du", "--by", "weight"}).err, HasSubstr("none of state, volume"));
  EXPECT_THAT(Run({"du", "--all", "--by", "type"}).err, HasSubstr("each volume's socket"));
}

TEST_F(ProgramTest, WhyEndsWithWhatToDo) {
  const std::vector<std::byte> large(2 * kMi);
  const ObjectId id = Put(Large(large), "features");
  Client reader = Connected();
  ASSERT_TRUE(reader.Get(id).ok());
  for (const std::string& what : {id.ToString(), std::string("features")}) {
    const json why = RunJson({"why", what});
    EXPECT_EQ(why["id"], id.ToString());
    EXPECT_EQ(why["names"][0], "features");
    EXPECT_EQ(why["memory_bytes"], 2 * kMi);
    EXPECT_FALSE(why["advice"].empty());
  }
  const std::string text = Run({"why", "features"}).out;
  EXPECT_THAT(text, AllOf(HasSubstr("the name 'features' points to it"), HasSubstr("--spill_path"),
                          HasSubstr("object rm " + id.ToString())));
  EXPECT_GT(text.rfind("to do"), text.rfind("because"));
  const Ran none = Run({"why", "o0000000000000bad"});
  EXPECT_EQ(none.code, 3);
  EXPECT_EQ(Run({"why", "no such name"}).code, 3);
  EXPECT_EQ(Run({"why"}).code, 2);
}

TEST_F(ProgramTest, ClientsAndWaitsNameTheProcess) {
  Client waiting = Connected();
  std::jthread waiter([&] {
    const auto got = waiting.GetName("late\x1b[2J", {.wait = true});
    EXPECT_TRUE(got.ok());
  });
  json waits;
  while ((waits = RunJson({"waits"})["waits"]).empty()) {
  }
  EXPECT_EQ(waits[0]["kind"], "name");
  EXPECT_EQ(waits[0]["name"], "late\x1b[2J");
  EXPECT_EQ(waits[0]["program"], "cli_program_test");
  EXPECT_EQ(waits[0]["pid"], ::getpid());
  EXPECT_THAT(Run({"waits"}).out, AllOf(HasSubstr("cli_program_test"), HasSubstr("the name late"),
                                        Not(HasSubstr("\x1b"))));
  const json clients = RunJson({"clients", "--all"})["clients"];
  ASSERT_GE(clients.size(), 2U);
  EXPECT_THAT(Run({"clients"}).out, HasSubstr("vineyardctl"));
  Put(ObjectBuilder("x"), "late\x1b[2J");
  waiter.join();
  const Ran none = Run({"waits"});
  EXPECT_THAT(none.out, IsEmpty());
  EXPECT_THAT(none.err, HasSubstr("nothing waits"));
}

TEST_F(ProgramTest, TraceShowsWhatWasAskedAndWhatCameOfIt) {
  Put(ObjectBuilder("x"), "n");
  EXPECT_EQ(Run({"object", "rm", "o000000000000002a"}).code, 3);
  const json failed = RunJson({"trace", "--failed"})["requests"];
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0]["request"], "Delete");
  EXPECT_EQ(failed[0]["result"], "not found");
  EXPECT_GT(failed[0]["request_id"], 0);
  const Ran all = Run({"trace", "--limit", "0"});
  EXPECT_THAT(all.out, AllOf(HasSubstr("Put"), HasSubstr("cli_program_tes"), HasSubstr("ok")));
  EXPECT_THAT(Run({"trace", "--slower-than", "1h"}).out, IsEmpty());
  EXPECT_EQ(Run({"trace", "--slower-than", "soon"}).code, 2);
}

TEST_F(ProgramTest, TraceShowsOneClientOrOneRequest) {
  Client other = Connected();
  ASSERT_TRUE(other.Put(ObjectBuilder("y")).ok());
  Put(ObjectBuilder("x"));
  const json all = RunJson({"trace", "--limit", "0"})["requests"];
  const json last = all.back();
  const auto client = last["client"].get<uint64_t>();
  const auto request = last["request_id"].get<uint64_t>();
  const json of_client = RunJson({"trace", "--of", std::to_string(client)})["requests"];
  EXPECT_GE(of_client.size(), 1U);
  EXPECT_LT(of_client.size(), all.size());
  for (const json& one : of_client) EXPECT_EQ(one["client"], client);
  const json one = RunJson(
      {"trace", "--of", std::to_string(client) + "#" + std::to_string(request)})["requests"];
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0]["sequence"], last["sequence"]);
  for (const char* wrong : {"x", "3#", "3#x", "#3", "0", "3#17 ", "-3", "99999999999999999999"}) {
    const Ran ran = Run({"trace", "--of", wrong});
    EXPECT_EQ(ran.code, 2) << wrong;
    EXPECT_THAT(ran.err, HasSubstr("--of: ")) << wrong;
  }
}

TEST_F(ProgramTest, WatchingGoesOnUntilItIsInterrupted) {
  const int out = Open("watched");
  const pid_t pid =
      Start({VINEYARDCTL, "clients", "--watch", "10ms", "-o", "json"}, variables_, out, out);
  ::close(out);
  const auto shown = [&] {
    const std::string text = Slurp(folder_ / "watched");
    size_t count = 0;
    for (size_t at = 0; (at = text.find("\"clients\"", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  while (shown() < 3) {
  }
  ::kill(pid, SIGINT);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(CodeOf(status), -SIGINT);
}

}  // namespace
}  // namespace vineyard::cli
