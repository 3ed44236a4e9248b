// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What each verb does, by the program itself.
#include <algorithm>
#include <chrono>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "cli/test_program.h"

namespace vineyard::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(ProgramTest, StatusTellsWhatTheInstanceHolds) {
  const std::vector<std::byte> bytes(1 << 20);
  ObjectBuilder builder("test::bytes");
  builder.AddBuffer(std::span(bytes));
  Put(builder, "bytes");
  const json status = RunJson({"status"});
  EXPECT_EQ(status["socket"], socket_);
  EXPECT_EQ(status["volume"], "default");
  EXPECT_EQ(status["instance_limit"], uint64_t{64} << 20);
  EXPECT_GE(status["memory_usage"], bytes.size());
  EXPECT_EQ(status["objects"], 1);
  EXPECT_EQ(status["names"], 1);
  const Ran table = Run({"status"});
  EXPECT_THAT(table.out, HasSubstr("64.0 MiB"));
  EXPECT_THAT(table.out, HasSubstr(socket_));
  EXPECT_THAT(table.err, IsEmpty());
}

TEST_F(ProgramTest, ObjectsAreListedShownAndDeleted) {
  const ObjectId leaf = Put(ObjectBuilder("test::leaf"));
  const std::vector<std::byte> bytes(100);
  ObjectBuilder builder("test::tree");
  builder.SetMetadata(R"({"depth": 2})").AddMember("left", leaf).AddLabel("stage", "train");
  const ObjectId tree = Put(builder.AddBuffer(std::span(bytes)), "tree");

  const json listed = RunJson({"object", "ls"});
  ASSERT_EQ(listed["objects"].size(), 1U) << "the leaf is a part of the tree";
  EXPECT_EQ(listed["objects"][0]["id"], tree.ToString());
  EXPECT_EQ(listed["more"], false);
  EXPECT_EQ(RunJson({"object", "ls", "--parts"})["objects"].size(), 2U);
  EXPECT_EQ(RunJson({"object", "ls", "*tree"})["objects"].size(), 1U);
  EXPECT_EQ(RunJson({"object", "ls", "te?t::leaf", "--parts"})["objects"].size(), 1U);
  EXPECT_EQ(RunJson({"object", "ls", "--regex", "l.?.f$", "--parts"})["objects"].size(), 1U);
  EXPECT_EQ(RunJson({"objects", "list", "none"})["objects"].size(), 0U);
  const Ran limited = Run({"object", "ls", "--parts", "--limit", "1"});
  EXPECT_EQ(std::ranges::count(limited.out, '\n'), 2);
  EXPECT_THAT(limited.err, HasSubstr("more"));

  const json shown = RunJson({"object", "get", tree.ToString()});
  EXPECT_EQ(shown, listed["objects"][0]);
  EXPECT_EQ(shown["type_name"], "test::tree");
  EXPECT_EQ(shown["metadata"], (json{{"depth", 2}}));
  EXPECT_EQ(shown["labels"], (json{{"stage", "train"}}));
  EXPECT_EQ(shown["members"], (json::array({{{"key", "left"}, {"id", leaf.ToString()}}})));
  EXPECT_EQ(shown["nbytes"], 100);
  EXPECT_EQ(shown["creator"]["pid"], ::getpid());
  EXPECT_EQ(shown["buffers"][0]["blob"], tree.own_blob().ToString());
  EXPECT_EQ(RunJson({"object", "get", "--name", "tree"}), shown);
  EXPECT_EQ(RunJson({"object", "get", tree.own_blob().ToString()})["type_name"], "vineyard::Blob");
  const Ran text = Run({"object", "get", tree.ToString()});
  for (const char* part : {"test::tree", "100 B", "stage=train", "\"depth\": 2", "left", "age"}) {
    EXPECT_THAT(text.out, HasSubstr(part));
  }

  const Ran refused = Run({"object", "rm", leaf.ToString()});
  EXPECT_EQ(refused.code, 1) << "it is a member of another";
  EXPECT_EQ(RunJson({"object", "rm", "--force", leaf.ToString()})["deleted"], 2);
  EXPECT_THAT(RunJson({"object", "ls", "--parts"})["objects"], IsEmpty());
  EXPECT_EQ(Run({"object", "get", tree.ToString()}).code, 3);
  EXPECT_EQ(Run({"object", "rm", tree.ToString()}).code, 3);
}

TEST_F(ProgramTest, AShallowDeleteLeavesTheMembers) {
  const ObjectId leaf = Put(ObjectBuilder("test::leaf"));
  const ObjectId tree = Put(ObjectBuilder("test::tree").AddMember("left", leaf));
  const Ran ran = Run({"object", "rm", "--shallow", tree.ToString()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("1 object"));
  EXPECT_EQ(RunJson({"object", "ls"})["objects"][0]["id"], leaf.ToString());
}

TEST_F(ProgramTest, ABlobOfUnknownAgeIsListedWithoutOne) {
  Client client = Connected();
  ASSERT_OK_AND_ASSIGN(MutableBlob writable, client.CreateBlob(100));
  ASSERT_OK_AND_ASSIGN(const Blob blob, client.Seal(std::move(writable)));
  const Ran ran = Run({"object", "ls", "--parts"});
  EXPECT_THAT(ran.out, HasSubstr(blob.id().ToString()));
  EXPECT_THAT(ran.out, HasSubstr("100 B    -\n"));
}

TEST_F(ProgramTest, NamesArePutListedReadAndDropped) {
  const ObjectId id = Put(ObjectBuilder("test::thing"), "experiment/1");
  EXPECT_EQ(RunJson({"name", "put", "experiment/2", id.ToString()})["version"], 1);
  EXPECT_EQ(RunJson({"name", "put", "other", id.ToString()})["id"], id.ToString());
  EXPECT_EQ(RunJson({"name", "ls"})["names"].size(), 3U);
  EXPECT_EQ(RunJson({"name", "ls", "--prefix", "experiment/"})["names"].size(), 2U);
  EXPECT_EQ(RunJson({"name", "ls", "*[12]"})["names"].size(), 2U);
  EXPECT_EQ(RunJson({"name", "ls", "^o", "--regex"})["names"].size(), 1U);
  EXPECT_EQ(RunJson({"name", "ls", "--limit", "2"})["more"], true);
  EXPECT_THAT(Run({"name", "ls", "--limit", "2"}).err, HasSubstr("--limit 0 shows all"));
  EXPECT_EQ(Run({"name", "get", "other"}).out, id.ToString() + "\n");
  EXPECT_EQ(RunJson({"name", "get", "other"})["name"], "other");

  const Ran ran = Run({"name", "rm", "other", "missing", "experiment/2", "-o", "json"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.Json()["dropped"], ElementsAre("other", "experiment/2"));
  EXPECT_THAT(ran.err, HasSubstr("missing"));
  EXPECT_EQ(Run({"name", "rm", "experiment/1"}).code, 0);
  EXPECT_EQ(Run({"object", "get", id.ToString()}).code, 3) << "it went with its last name";
}

TEST_F(ProgramTest, TextOfOthersIsPrintedButNotObeyed) {
  const Words names = {"\x1b[2Jred", "two\nlines", "[a,b]", "{}", "-x", "--help", "a b\tc", "漢字"};
  for (const std::string& name : names) {
    ObjectBuilder builder("\x1b]0;title\x07");
    builder.SetMetadata(R"({"k": "\u001b[31m\u009b"})")
        .AddLabel("l\x1b", "\r")
        .AddMember("m\n", Put(ObjectBuilder("test::leaf")));
    Put(builder, name);
  }
  const std::string id = RunJson({"object", "ls"})["objects"][0]["id"];
  for (const Words& words : std::vector<Words>{{"name", "ls"},
                                               {"object", "ls"},
                                               {"object", "get", id},
                                               {"name", "get", "\x1b[31m"},
                                               {"name", "ls", "-o", "json"},
                                               {"object", "ls", "-o", "json"}}) {
    const Ran ran = Run(words);
    for (const char c : {'\x1b', '\x07', '\r', '\t'}) {
      EXPECT_THAT(ran.out + ran.err, Not(HasSubstr(std::string(1, c))));
    }
  }
  Words read;
  const json listed = RunJson({"name", "ls"});
  for (const json& name : listed["names"]) read.push_back(name["name"]);
  EXPECT_THAT(read, ::testing::UnorderedElementsAreArray(names)) << "JSON says what they are";
  Words rm = {"name", "rm", "--"};
  rm.insert(rm.end(), names.begin(), names.end());
  EXPECT_EQ(Run(rm).code, 0);
  EXPECT_THAT(RunJson({"name", "ls"})["names"], IsEmpty());
}

TEST_F(ProgramTest, VolumesAreMadeListedAndRemoved) {
  const Ran made = Run({"volume", "create", "data", "--size", "16Mi"});
  EXPECT_EQ(made.code, 0) << made.err;
  const fs::path folder = folder_ / "volumes/data";
  EXPECT_EQ(made.out, folder.string() + "\n");
  EXPECT_TRUE(fs::is_socket(folder / "vineyard.sock"));
  const json other = RunJson({"volume", "create", "other", "--dir", (folder_ / "o/").string()});
  EXPECT_EQ(other["directory"], (folder_ / "o").string());
  EXPECT_EQ(other["quota"], 0);

  json listed = RunJson({"volume", "ls"})["volumes"];
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_THAT((Words{listed[0]["name"], listed[1]["name"], listed[2]["name"]}),
              ::testing::UnorderedElementsAre("default", "data", "other"));
  EXPECT_THAT(Run({"volume", "ls"}).out, HasSubstr("16.0 MiB"));
  const std::string socket = (folder / "vineyard.sock").string();
  const json status = RunJson({"status", "--socket", socket});
  EXPECT_EQ(status["volume"], "data");
  EXPECT_EQ(status["memory_limit"], uint64_t{16} << 20);

  EXPECT_EQ(Run({"volume", "create", "data"}).code, 1) << "there is one";
  EXPECT_EQ(Run({"volume", "create", "../evil"}).code, 2);
  EXPECT_FALSE(fs::exists(folder_ / "evil"));
  EXPECT_EQ(Run({"volume", "ls", "--socket", socket}).code, 1) << "not the first socket";
  EXPECT_EQ(Run({"volume", "rm", "missing"}).code, 3);
  EXPECT_EQ(Run({"volume", "rm", "data", "other"}).code, 0);
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_TRUE(fs::exists(folder_ / "o")) << "a folder that the user chose stays";
  EXPECT_EQ(Run({"status", "--socket", socket}).code, 4);
  EXPECT_EQ(RunJson({"volume", "ls"})["volumes"].size(), 1U);
}

TEST_F(ProgramTest, MemoryMayBeGuaranteedToAVolume) {
  constexpr uint64_t kMi = uint64_t{1} << 20;
  const json made = RunJson({"volume", "create", "data", "--size", "16Mi", "--guaranteed", "8Mi"});
  EXPECT_EQ(made["guaranteed"], 8 * kMi);
  for (const json& volume : RunJson({"volume", "ls"})["volumes"]) {
    EXPECT_EQ(volume["guaranteed"], volume["name"] == "data" ? 8 * kMi : 0);
    EXPECT_GT(volume["memory_held"], 0);
  }
  EXPECT_THAT(Run({"volume", "ls"}).out, AllOf(HasSubstr("GUARANTEED"), HasSubstr("8.0 MiB")));
  const json status = RunJson({"status", "--socket", made["socket"]});
  EXPECT_EQ(status["memory_guaranteed"], 8 * kMi);
  EXPECT_EQ(status["memory_kept"], 0);
  EXPECT_GT(RunJson({"status"})["memory_kept"], 7 * kMi);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("memory kept"));
  EXPECT_THAT(Run({"status", "--socket", made["socket"]}).out, HasSubstr("guaranteed"));
  const Ran much = Run({"volume", "create", "much", "--guaranteed", "1Ti"});
  EXPECT_EQ(much.code, 1);
  EXPECT_THAT(much.err, AllOf(HasSubstr("guarantee at most"), HasSubstr("8 MiB")));
  EXPECT_EQ(Run({"volume", "create", "w", "--size", "1Mi", "--guaranteed", "2Mi"}).code, 2);
  EXPECT_EQ(Run({"volume", "create", "w", "--guaranteed", "some"}).code, 2);
  EXPECT_EQ(RunJson({"volume", "ls"})["volumes"].size(), 2U);
  EXPECT_EQ(Run({"volume", "rm", "data"}).code, 0);
  EXPECT_EQ(RunJson({"status"})["memory_kept"], 0);
}

TEST_F(ProgramTest, AVolumeMayHaveASocketForReaders) {
  const std::string readers = (folder_ / "shown" / "vineyard.sock").string();
  const json made = RunJson({"volume", "create", "data", "--mode", "0600", "--read-only-socket",
                             readers, "--read-only-mode", "0644"});
  EXPECT_EQ(made["read_only_socket"], readers);
  EXPECT_EQ(fs::status(made["socket"].get<std::string>()).permissions(), fs::perms(0600));
  EXPECT_EQ(fs::status(readers).permissions(), fs::perms(0644));
  EXPECT_EQ(RunJson({"status", "--socket", readers})["read_only"], true);
  EXPECT_EQ(RunJson({"status", "--socket", made["socket"]})["read_only"], false);
  const Ran refused = Run({"name", "rm", "x", "--socket", readers});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("for reading only"));
  EXPECT_EQ(Run({"volume", "create", "wrong", "--mode", "rw"}).code, 2);
  EXPECT_EQ(Run({"volume", "create", "wrong", "--read-only-mode", "0060"}).code, 0)
      << "without such a socket its mode means nothing";
  EXPECT_EQ(Run({"volume", "create", "worse", "--owner", "me"}).code, 2);
  EXPECT_EQ(Run({"volume", "rm", "data"}).code, 0);
  EXPECT_FALSE(fs::exists(readers));
}

TEST_F(ProgramTest, AnUpgradeTellsWhatRunsNow) {
  const json upgraded = RunJson({"upgrade"});
  EXPECT_EQ(upgraded["version"], upgraded["version_before"]);
  EXPECT_EQ(upgraded["generation"], upgraded["generation_before"].get<int>() + 1);
  EXPECT_EQ(upgraded["former_program"], false);
  EXPECT_EQ(upgraded["on_probation"], false) << "it is the same program";
  EXPECT_THAT(Run({"upgrade"}).out, HasSubstr("generation"));
}

TEST_F(ProgramTest, NamesShowWhomTheyLiveWith) {
  std::optional<Client> client = Connected();
  const ObjectId id = Put(ObjectBuilder("test::kept"));
  ASSERT_OK(client->PutName("lives", id, {.linger = std::chrono::seconds(90)}));
  ASSERT_OK(client->Put(ObjectBuilder("test::going"), {.linger = Timeout(0)}));
  EXPECT_THAT(Run({"name", "ls"}).out,
              HasSubstr("with process " + std::to_string(::getpid()) + " + 90.0s"));
  const json listed = RunJson({"name", "get", "lives"});
  EXPECT_EQ(listed["linger_ms"], 90'000);
  EXPECT_EQ(listed["client_pid"], ::getpid());
  EXPECT_EQ(RunJson({"status"})["leases"], 2);
  EXPECT_EQ(RunJson({"status"})["names"], 1);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("leases"));
  client.reset();
  while (RunJson({"status"})["leases"] != 0) {
  }
  EXPECT_FALSE(RunJson({"name", "get", "lives"}).contains("linger_ms"));
  EXPECT_THAT(Run({"status"}).out, Not(HasSubstr("leases")));
}

class UpgradeTest : public ProgramTest {
 protected:
  explicit UpgradeTest(const char* probation = "1000000000")
      : ProgramTest("", {{"VINEYARD_PROBATION_MS", probation}}) {}

  /// A program that passes its trial, and serves with these variables.
  void Install(const std::string& variables) {
    const std::string newer = program_ + ".new";
    std::ofstream(newer) << "#!/bin/sh\ncase \"$*\" in *--self_test*) ;; *) export " << variables
                         << ";; esac\nexec " VINEYARDD " \"$@\"\n";
    fs::permissions(newer, fs::perms(0755));
    fs::rename(newer, program_);
  }
};

class ShortProbationTest : public UpgradeTest {
 protected:
  ShortProbationTest() : UpgradeTest("100") {}
};

TEST_F(UpgradeTest, OneThatIsNotWatchedIsOnProbation) {
  Install("HARMLESS=1");
  EXPECT_EQ(RunJson({"upgrade", "--no-watch"})["on_probation"], true);
  EXPECT_EQ(RunJson({"status"})["on_probation"], true);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("the one before comes back"));
}

TEST_F(ShortProbationTest, AnUpgradeEndsWhenTheNewProgramHasServedWell) {
  Install("HARMLESS=1");
  const json upgraded = RunJson({"upgrade"});
  EXPECT_EQ(upgraded["on_probation"], false);
  EXPECT_EQ(upgraded["former_program"], false);
  EXPECT_THAT(Run({"status"}).out, Not(HasSubstr("the one before")));
}

TEST_F(UpgradeTest, OneWhoseProgramServesAndDiesFailsAndSaysSo) {
  Put(ObjectBuilder("test::kept"), "kept");
  Install(
      "VINEYARD_CRASH_AT=status.begun:3 VINEYARD_CRASH_GENERATION=2-9 VINEYARD_CRASH_SIGNAL=11");
  const Ran ran = Run({"upgrade"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("ended by a fault; the one before serves again"));
  EXPECT_THAT(Slurp(folder_ / "vineyardd.log"),
              HasSubstr("it ended by a fault soon after it had begun to serve"));
  EXPECT_EQ(RunJson({"status"})["former_program"], true);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("that which is installed does not serve"));
  EXPECT_EQ(Run({"name", "get", "kept"}).code, 0);
}

}  // namespace
}  // namespace vineyard::cli
