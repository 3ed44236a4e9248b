// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What all verbs have in common: exit codes, help, completion, and how they end.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_program.h"

namespace vineyard::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Every key of the document stands in the help of the verb that printed it.
void ExpectDocumented(const json& document, const std::string& help) {
  if (document.is_array()) {
    for (const json& element : document) ExpectDocumented(element, help);
  }
  if (!document.is_object()) return;
  for (const auto& [key, value] : document.items()) {
    EXPECT_THAT(help, HasSubstr("\"" + key + "\""));
    if (key != "metadata" && key != "labels") ExpectDocumented(value, help);
  }
}

TEST_F(ProgramTest, ExitCodesTellWhatWentWrong) {
  EXPECT_EQ(Run({}).code, 2);
  EXPECT_EQ(Run({"nonsense"}).code, 2);
  EXPECT_EQ(Run({"object", "get", "nonsense"}).code, 2);
  EXPECT_EQ(Run({"object", "ls", "--limit", "many"}).code, 2);
  EXPECT_EQ(Run({"object", "ls", "(", "--regex"}).code, 2);
  EXPECT_EQ(Run({"status", "--timeout", "soon"}).code, 2);
  EXPECT_EQ(Run({"status", "--socket", ""}).code, 2) << "a variable that was never set";
  EXPECT_EQ(Run({"volume", "create", "a", "--size", "big"}).code, 2);
  EXPECT_EQ(Run({"object", "get", "o00000000000000ff"}).code, 3);
  EXPECT_EQ(Run({"name", "get", "missing"}).code, 3);
  EXPECT_EQ(Run({"status", "--socket", (folder_ / "none.sock").string()}).code, 4);
  EXPECT_EQ(Run({"status"}, {{"VINEYARD_CONFIG", ""}, {"VINEYARD_IPC_SOCKET", "/dev/null"}}).code,
            4);
  EXPECT_EQ(Run({"name", "get", "missing", "--wait", "--timeout", "10ms"}).code, 1);
  for (const Ran& ran : {Run({"nonsense"}), Run({"name", "get", "missing"})}) {
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_THAT(ran.err, StartsWith("vineyardctl: "));
    EXPECT_EQ(std::ranges::count(ran.err, '\n'), 1);
  }
}

TEST_F(ProgramTest, FindsItsInstanceByEnvironmentAndConfiguration) {
  const std::pair<std::string, std::string> unnamed = {"VINEYARD_IPC_SOCKET", ""};
  const fs::path config = folder_ / "vineyard-config.yaml";
  std::ofstream(config) << "Vineyard:\n  IPCSocket: vineyard.sock\n";
  for (const std::string& named : {config.string(), folder_.string()}) {
    const Ran ran = Run({"status", "-o", "json"}, {unnamed, {"VINEYARD_CONFIG", named}});
    EXPECT_EQ(ran.Json()["socket"], socket_) << ran.err;
  }
  EXPECT_EQ(Run({"status"}, {unnamed, {"VINEYARD_CONFIG", "/dev/null"}}).code, 2);
}

TEST_F(ProgramTest, HelpTellsTheKeysOfTheJson) {
  const ObjectId id =
      Put(ObjectBuilder("test::thing").AddMember("m", Put(ObjectBuilder("m"))), "n");
  const std::string get_help = Run({"object", "get", "--help"}).out;
  for (const Words& verb : std::vector<Words>{{"status"},
                                              {"upgrade"},
                                              {"name", "ls"},
                                              {"name", "get", "n"},
                                              {"name", "put", "n2", id.ToString()},
                                              {"name", "rm", "n2"},
                                              {"volume", "create", "v"},
                                              {"volume", "ls"},
                                              {"volume", "rm", "v"},
                                              {"object", "get", id.ToString()},
                                              {"object", "ls"},
                                              {"object", "rm", id.ToString()}}) {
    Words help(verb.begin(), verb.begin() + (verb[0] == "status" || verb[0] == "upgrade" ? 1 : 2));
    help.insert(help.begin(), "help");
    const Ran helped = Run(help);
    EXPECT_EQ(helped.code, 0);
    EXPECT_THAT(helped.err, IsEmpty());
    ExpectDocumented(RunJson(verb), helped.out + (verb == Words{"object", "ls"} ? get_help : ""));
  }
}

TEST_F(ProgramTest, CompletionScriptsAreGoodShell) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ran ran = Run({"completion", shell});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const fs::path script = folder_ / shell;
    std::ofstream(script) << ran.out;
    const std::string there = std::string("command -v ") + shell + " >/dev/null";
    if (std::system(there.c_str()) != 0) continue;  // NOLINT: a shell is what is tested
    const std::string check = std::string(shell) + " -n '" + script.string() + "'";
    EXPECT_EQ(std::system(check.c_str()), 0) << shell;  // NOLINT
  }
  const std::string offered = R"(source "$0"; compopt() { :; }
    COMP_WORDS=(vineyardctl objects list --socket name --l); COMP_CWORD=5
    _vineyardctl; [[ "${COMPREPLY[*]}" == --limit ]] || exit 1
    COMP_WORDS=(vineyardctl -o ""); COMP_CWORD=2
    _vineyardctl; [[ "${COMPREPLY[*]}" == "table json" ]])";
  const int out = Open("out");
  const pid_t pid = Start({"/bin/bash", "-c", offered, (folder_ / "bash").string()}, {}, out, out);
  ::close(out);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(CodeOf(status), 0) << Slurp(folder_ / "out");
}

TEST_F(ProgramTest, AReaderThatGoesEarlyIsNoFailure) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  ::close(pipe[0]);
  const int err = Open("err");
  const pid_t pid = Start({VINEYARDCTL, "status"}, variables_, pipe[1], err);
  ::close(pipe[1]);
  ::close(err);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(CodeOf(status), 0);
  EXPECT_THAT(Slurp(folder_ / "err"), IsEmpty());
}

TEST_F(ProgramTest, AFullDiskIsAFailure) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const int err = Open("err");
  const pid_t pid = Start({VINEYARDCTL, "status"}, variables_, full, err);
  ::close(full);
  ::close(err);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(CodeOf(status), 1);
  EXPECT_THAT(Slurp(folder_ / "err"), HasSubstr("cannot write"));
}

TEST_F(ProgramTest, CtrlCEndsACallThatWaits) {
  const int out = Open("out");
  const pid_t pid = Start({VINEYARDCTL, "name", "get", "never", "--wait", "--timeout", "1h"},
                          variables_, out, out);
  ::close(out);
  Client client = Connected();
  while (true) {
    const Result<InstanceStatus> status = client.GetStatus();
    ASSERT_TRUE(status.ok());
    if (status->waiting > 0) break;
    ::usleep(10'000);
  }
  ::kill(pid, SIGINT);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(CodeOf(status), -SIGINT);
}

}  // namespace
}  // namespace vineyard::cli
