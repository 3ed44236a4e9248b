// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/config.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vineyard::daemon {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kGi = uint64_t{1} << 30;

// A machine with 16 GiB, an environment and files of its own, and a user who is not root.
class ConfigTest : public ::testing::Test {
 protected:
  Result<Config> Load(const std::vector<const char*>& args) {
    Environment environment;
    environment.get = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
    environment.read_file = [this](const std::string& path) -> Result<std::string> {
      const auto found = files_.find(path);
      if (found == files_.end()) return Status::NotFound("cannot read " + path);
      return found->second;
    };
    environment.memory = memory_;
    environment.is_root = is_root_;
    environment.working_directory = "/here";
    return Config::Load(args, environment);
  }

  Config Loaded(const std::vector<const char*>& args) {
    Result<Config> config = Load(args);
    EXPECT_TRUE(config.ok()) << config.status().ToString();
    return config.ok() ? std::move(config).value() : Config();
  }

  // The message, after checking that it is one line in our style.
  std::string Refused(const std::vector<const char*>& args,
                      StatusCode code = StatusCode::kInvalid) {
    const Result<Config> config = Load(args);
    if (config.ok()) {
      ADD_FAILURE() << "accepted";
      return {};
    }
    EXPECT_EQ(config.status().code(), code) << config.status().ToString();
    EXPECT_EQ(config.status().message().find('\n'), std::string::npos);
    EXPECT_THAT(config.status().message(), Not(::testing::EndsWith(".")));
    return config.status().message();
  }

  std::map<std::string, std::string> variables_ = {{"HOME", "/users/ada"}};
  std::map<std::string, std::string> files_;
  std::optional<os::MemoryInfo> memory_ = os::MemoryInfo{16 * kGi, std::nullopt};
  bool is_root_ = false;
};

TEST_F(ConfigTest, AnUnknownFlagNamesTheNearestKnownOne) {
  EXPECT_EQ(Refused({"--sise", "8Gi"}), "unknown flag --sise; did you mean --size?");
  EXPECT_EQ(Refused({"--reserve-memroy"}),
            "unknown flag --reserve-memroy; did you mean --reserve_memory?");
  EXPECT_EQ(Refused({"--frobnicate=1"}), "unknown flag --frobnicate; --help lists those there are");
  EXPECT_THAT(Refused({"--nosize"}), StartsWith("unknown flag --nosize"));
}

TEST_F(ConfigTest, MalformedCommandLinesAreRefused) {
  EXPECT_THAT(Refused({"8Gi"}), StartsWith("unexpected argument '8Gi'"));
  EXPECT_THAT(Refused({"--size", "8Gi", "more"}), StartsWith("unexpected argument 'more'"));
  EXPECT_THAT(Refused({""}), StartsWith("unexpected argument ''"));
  EXPECT_THAT(Refused({"--"}), StartsWith("unexpected argument '--'"));
  EXPECT_THAT(Refused({"--="}), StartsWith("unknown flag --"));
  EXPECT_EQ(Refused({"--size"}), "--size needs a value: --size SIZE");
  EXPECT_EQ(Refused({"--size", "--coredump"}), "--size needs a value: --size SIZE");
  EXPECT_EQ(Refused({"--version=2"}), "--version takes no value, and was given '2'");
  EXPECT_THAT(Refused({"--deployment", "a\nb"}), StartsWith("--deployment: holds a line break"));
  EXPECT_THAT(Refused({"--deployment", "a "}), HasSubstr("begins or ends with a space"));
  EXPECT_THAT(Refused({"--deployment= a"}), HasSubstr("begins or ends with a space"));
}

TEST_F(ConfigTest, ABadValueSaysWhatWhichAndHowToMendIt) {
  EXPECT_THAT(Refused({"--size", "8Gx"}), AllOf(StartsWith("--size: '8Gx'"), HasSubstr("8Gi")));
  EXPECT_THAT(Refused({"--size", "150%"}), StartsWith("--size: '150%' is more than all"));
  EXPECT_THAT(Refused({"--size", "0"}), StartsWith("--size: '0' is nothing"));
  EXPECT_THAT(Refused({"--size", "0%"}), StartsWith("--size: '0%' is nothing"));
  EXPECT_THAT(Refused({"--size", "8"}), HasSubstr("8 B is too small; the least is 1 MiB"));
  EXPECT_THAT(Refused({"--socket="}), StartsWith("--socket: '' is no path"));
  for (const char* path : {"/tmp/", "/tmp/.", "a/..", "..", ".", "/"}) {
    EXPECT_THAT(Refused({"--socket", path}), HasSubstr("is no path of a socket")) << path;
  }
  for (const char* mode : {"", "rw", "0999", "01777", "-1", "0660x"}) {
    EXPECT_THAT(Refused({"--socket_mode", mode}), HasSubstr("write octal digits such as 0660"));
  }
  EXPECT_THAT(Refused({"--socket_mode", "0060"}), HasSubstr("shuts out the owner"));
  EXPECT_THAT(Refused({"--read_only_socket_mode", "0060"}), HasSubstr("shuts out the owner"));
  EXPECT_THAT(Refused({"--read_only_socket", "a/"}), HasSubstr("is no path of a socket"));
  EXPECT_THAT(Refused({"--socket=/a/b", "--read_only_socket=/a/x/../b"}),
              HasSubstr("choose another path for readers"));
  EXPECT_EQ(Refused({"--huge_pages", "never"}), "--huge_pages: 'never' is none of auto, on or off");
  EXPECT_EQ(
      Refused({"--log_level", "inof"}),
      "--log_level: 'inof' is none of debug, info, warning, error or off; did you mean info?");
  EXPECT_THAT(Refused({"--log_format", "xml"}), StartsWith("--log_format: 'xml'"));
  EXPECT_THAT(Refused({"--reserve_memory=maybe"}), StartsWith("--reserve_memory: 'maybe'"));
  EXPECT_THAT(Refused({"--compression=maybe"}), StartsWith("--compression: 'maybe'"));
  for (const char* rate : {"", "x", "-0.1", "1.1", "nan", "0.5x"}) {
    EXPECT_THAT(Refused({"--spill_lower_rate", rate}), HasSubstr("from 0 to 1")) << rate;
  }
  EXPECT_THAT(Refused({"--print-config", "-o", "yaml"}), StartsWith("--output: 'yaml'"));
}

TEST_F(ConfigTest, ValuesThatContradictEachOtherAreRefused) {
  EXPECT_THAT(Refused({"--reserve_memory", "--size", "17Gi"}), HasSubstr("lower --size"));
  EXPECT_THAT(Refused({"--spill_lower_rate=0.9"}), HasSubstr("above --spill_upper_rate"));
}

TEST_F(ConfigTest, AFileIsReadStrictly) {
  EXPECT_EQ(Refused({"--config", "/absent"}, StatusCode::kNotFound),
            "--config: cannot read /absent");
  const auto refused = [&](const char* text) {
    files_["/etc/v.conf"] = text;
    return Refused({"--config", "/etc/v.conf"});
  };
  EXPECT_EQ(refused("# fine\n\nsise = 8Gi\n"),
            "/etc/v.conf:3: unknown key 'sise'; did you mean size?");
  EXPECT_THAT(refused("size 8Gi"), StartsWith("/etc/v.conf:1: 'size 8Gi' is no setting"));
  EXPECT_THAT(refused("= 8Gi"), StartsWith("/etc/v.conf:1: '= 8Gi' is no setting"));
  EXPECT_THAT(refused("size = 8Gx"), StartsWith("/etc/v.conf:1: size: '8Gx' is not a size"));
  EXPECT_THAT(refused("size = 1Gi\nsize = 2Gi"),
              StartsWith("/etc/v.conf:2: 'size' is set a second"));
  EXPECT_THAT(refused("config = /other"), HasSubstr("command line only"));
  EXPECT_THAT(refused("help = true"), HasSubstr("command line only"));
}

TEST_F(ConfigTest, WhatAsksForOtherInstancesNeedsACluster) {
  const auto code = StatusCode::kNeedsCluster;
  EXPECT_THAT(Refused({"--meta", "etcd"}, code), HasSubstr("needs a cluster"));
  EXPECT_THAT(Refused({"--meta=redis"}, code), HasSubstr("needs a cluster"));
  EXPECT_THAT(Refused({"--rpc", "true"}, code), HasSubstr("needs a cluster"));
  EXPECT_THAT(Refused({"--rpc"}, code), HasSubstr("--rpc=false"));
  EXPECT_THAT(Refused({"--rpc_socket_port", "9600"}, code), HasSubstr("needs a cluster"));
  EXPECT_THAT(Refused({"--rdma_endpoint", "h:9601"}, code), HasSubstr("needs a cluster"));
  EXPECT_THAT(Refused({"--meta", "loacl"}), HasSubstr("did you mean local?"));
}

TEST_F(ConfigTest, WithoutTheNetworkServiceItsFlagsAreOnlyNoticed) {
  EXPECT_THAT(Loaded({"--rpc=false"}).notices, IsEmpty());
  EXPECT_THAT(Loaded({"--norpc"}).notices, IsEmpty());
  EXPECT_THAT(Loaded({"--rdma_endpoint="}).notices, IsEmpty());
  EXPECT_THAT(Loaded({"--rpc", "false", "--rpc_socket_port", "9600"}).notices,
              ElementsAre(StartsWith("--rpc_socket_port has no meaning in this version: ")));
}

TEST_F(ConfigTest, EveryOldFlagIsAcceptedAndSaysThatItDoesNothing) {
  for (const Flag& flag : AllFlags()) {
    if (!flag.help.empty() || flag.name.starts_with("rpc") || flag.name == "rdma_endpoint")
      continue;
    const std::string name = "--" + std::string(flag.name);
    const char* value = flag.kind == FlagKind::kSwitch ? "true" : "80";
    EXPECT_THAT(Loaded({name.c_str(), value}).notices,
                ElementsAre(StartsWith(name + " has no meaning in this version: ")));
  }
}

TEST_F(ConfigTest, WhatIsSpilledHasAPlaceALimitAndMarks) {
  const Config none = Loaded({});
  EXPECT_EQ(none.spill_path, "");
  EXPECT_EQ(none.spill_limit, std::nullopt);
  EXPECT_EQ(Loaded({"--spill_path="}).spill_path, "");
  const Config config = Loaded({"--spill_path", "spill/", "--spill_limit=2Gi",
                                "--spill_lower_rate=0.5", "--spill_upper_rate=0.7"});
  EXPECT_THAT(config.notices, IsEmpty());
  EXPECT_EQ(config.spill_path, "/here/spill/");
  EXPECT_EQ(config.spill_limit, uint64_t{2} << 30);
  EXPECT_EQ(config.spill_lower_rate, 0.5);
  EXPECT_THAT(Refused({"--spill_limit=much"}), HasSubstr("--spill_limit"));
  EXPECT_THAT(Loaded({"--spill_upper_rate=0.7"}).notices,
              ElementsAre(HasSubstr("no effect without --spill_path")));
}

// The next instance at the socket has to find what this one has left.
TEST_F(ConfigTest, TheFolderOfSpilledObjectsIsCalledAfterTheSocket) {
  const auto folder = [&](const char* socket) {
    return Loaded({"--socket", socket, "--spill_path=/s"}).SpillFolder();
  };
  EXPECT_EQ(folder("/var/run/vineyard.sock"), "var-run-vineyard.sock");
  EXPECT_EQ(folder("/.hidden"), "_.hidden");
  EXPECT_EQ(folder(("/" + std::string(250, 'x')).c_str()).size(), 200U);
}

TEST_F(ConfigTest, WithoutMemoryOrHomeThereIsNoDefault) {
  memory_.reset();
  EXPECT_THAT(Refused({}), HasSubstr("say --size 8Gi"));
  EXPECT_THAT(Refused({"--size", "50%"}), HasSubstr("write a size such as 8Gi"));
  EXPECT_EQ(Loaded({"--size", "8Gi"}).size, 8 * kGi);
  variables_.clear();
  EXPECT_THAT(Refused({"--size", "8Gi"}), HasSubstr("say --socket PATH"));
}

TEST_F(ConfigTest, TheDefaultsSuitTheMachineAndTheUser) {
  const Config config = Loaded({});
  EXPECT_EQ(config.size, 8 * kGi);
  EXPECT_EQ(config.size_reason, "half of the 16 GiB of this machine");
  EXPECT_EQ(config.socket, "/users/ada/.local/vineyard/vineyard.sock");
  EXPECT_EQ(config.socket_mode, 0660u);
  EXPECT_EQ(config.huge_pages, os::HugePageMode::kAuto);
  EXPECT_FALSE(config.reserve_memory);
  EXPECT_THAT(config.notices, IsEmpty());

  memory_->cgroup_bytes = 4 * kGi;
  EXPECT_EQ(Loaded({}).size, 2 * kGi);
  EXPECT_EQ(Loaded({}).size_reason, "half of the 4 GiB that the control group allows");
  EXPECT_EQ(Loaded({"--size="}).size, 2 * kGi) << "an empty size was the default of old";

  variables_["XDG_RUNTIME_DIR"] = "/run/user/7";
  EXPECT_EQ(Loaded({}).socket, "/run/user/7/vineyard/vineyard.sock");
  is_root_ = true;
  EXPECT_EQ(Loaded({}).socket, "/var/run/vineyard.sock");
}

TEST_F(ConfigTest, SizesAreBytesOrAShareOfTheMemory) {
  EXPECT_EQ(Loaded({"--size", "1.5Gi"}).size, kGi + kGi / 2);
  EXPECT_EQ(Loaded({"--size", "25%"}).size, 4 * kGi);
  EXPECT_EQ(Loaded({"--size", "25%"}).size_reason, "25% of the 16 GiB of this machine");
  EXPECT_THAT(Loaded({"--size", "17Gi"}).notices,
              ElementsAre("--size: 17 GiB is more than the 16 GiB of this machine"));
}

TEST_F(ConfigTest, ValuesFollowAnEqualsSignOrASpace) {
  EXPECT_EQ(Loaded({"--deployment=a=b"}).deployment, "a=b");
  EXPECT_EQ(Loaded({"--deployment", "-x"}).deployment, "-x");
  EXPECT_EQ(Loaded({"--deployment", "a", "--deployment", "b"}).deployment, "b")
      << "the last counts";
  EXPECT_EQ(Loaded({"-deployment", "one dash"}).deployment, "one dash");
  EXPECT_EQ(Loaded({"--socket", "run/v.sock"}).socket, "/here/run/v.sock");
}

TEST_F(ConfigTest, ASwitchStandsAloneOrHasAValue) {
  EXPECT_TRUE(Loaded({"--reserve_memory"}).reserve_memory);
  EXPECT_TRUE(Loaded({"--reserve_memory", "true"}).reserve_memory);
  EXPECT_TRUE(Loaded({"--reserve-memory=1"}).reserve_memory);
  EXPECT_FALSE(Loaded({"--reserve_memory=false"}).reserve_memory);
  EXPECT_FALSE(Loaded({"--reserve_memory", "off"}).reserve_memory);
  EXPECT_FALSE(Loaded({"--noreserve_memory"}).reserve_memory);
  EXPECT_FALSE(Loaded({"--reserve_memory", "--no-reserve-memory"}).reserve_memory);
  EXPECT_TRUE(Loaded({"--reserve_memory", "--size", "1Gi"}).reserve_memory);
}

TEST_F(ConfigTest, TheSandboxIsOnUnlessItIsSwitchedOff) {
  EXPECT_TRUE(Loaded({}).sandbox);
  EXPECT_FALSE(Loaded({"--sandbox=off"}).sandbox);
  EXPECT_FALSE(Loaded({"--sandbox", "off"}).sandbox);
  EXPECT_TRUE(Loaded({"--sandbox", "on"}).sandbox);
  variables_["VINEYARD_SANDBOX"] = "off";
  EXPECT_FALSE(Loaded({}).sandbox);
  EXPECT_TRUE(Loaded({"--sandbox=on"}).sandbox);
  EXPECT_THAT(Refused({"--sandbox=maybe"}), HasSubstr("is neither true nor false"));
}

TEST_F(ConfigTest, DashesAndUnderscoresAreOne) {
  EXPECT_EQ(Loaded({"--log-level", "debug"}).log_level, log::Level::kDebug);
  EXPECT_EQ(Loaded({"--log_level", "debug"}).log_level, log::Level::kDebug);
  files_["f"] = "log-level = error\n";
  EXPECT_EQ(Loaded({"--config=f"}).log_level, log::Level::kError);
}

TEST_F(ConfigTest, TheCommandLineGoesBeforeTheEnvironmentBeforeTheFile) {
  files_["f"] = "  size=1Gi\r\n# a comment\nlog_level = error\ndeployment = from the file";
  variables_["VINEYARD_SIZE"] = "2Gi";
  variables_["VINEYARD_LOG_LEVEL"] = "debug";
  variables_["VINEYARD_COREDUMP"] = "";
  const Config config = Loaded({"--config", "f", "--size", "3Gi"});
  EXPECT_EQ(config.size, 3 * kGi);
  EXPECT_EQ(config.log_level, log::Level::kDebug);
  EXPECT_EQ(config.deployment, "from the file");
  EXPECT_FALSE(config.coredump) << "empty is not given";
  variables_["VINEYARD_SIZE"] = "junk";
  EXPECT_THAT(Refused({}), StartsWith("VINEYARD_SIZE: 'junk' is not a size"));
}

TEST_F(ConfigTest, VariablesMeantForClientsAreNotRead) {
  variables_["VINEYARD_CONFIG"] = "/var/run/vineyard-config.yaml";
  variables_["VINEYARD_RDMA_ENDPOINT"] = "host:9601";
  variables_["VINEYARD_RPC"] = "true";
  EXPECT_THAT(Loaded({}).notices, IsEmpty());
}

TEST_F(ConfigTest, PrintedConfigTellsSourcesAndCanBeReadAgain) {
  files_["f"] = "deployment = x\nallocator = mimalloc\n";
  variables_["VINEYARD_LOG_LEVEL"] = "debug";
  const Config config = Loaded({"--config=f", "--size=1Gi", "--print-config", "--coredump"});
  EXPECT_EQ(config.action, Config::Action::kPrintConfig);
  const std::string text = config.Print();
  EXPECT_THAT(text, HasSubstr("# from: flag\nsize = 1073741824\ncoredump = true\n"));
  EXPECT_THAT(text, HasSubstr("# from: environment\nlog_level = debug\n"));
  EXPECT_THAT(text, HasSubstr("# from: file\ndeployment = x\n"));
  EXPECT_THAT(text, HasSubstr("# f:2: allocator has no meaning"));

  variables_.clear();
  files_["g"] = text;
  const Config again = Loaded({"--config=g"});
  EXPECT_EQ(again.size, config.size);
  EXPECT_EQ(again.socket, config.socket);
  EXPECT_EQ(again.log_level, config.log_level);
  EXPECT_TRUE(again.coredump);
  EXPECT_THAT(again.notices, IsEmpty());
}

TEST_F(ConfigTest, PrintedConfigIsAlsoJson) {
  const Config config = Loaded({"--print-config", "-o", "json", "--size=50%", "--metrics"});
  const auto json = nlohmann::json::parse(config.Print());
  EXPECT_EQ(json["settings"]["size"]["value"], 8 * kGi);
  EXPECT_EQ(json["settings"]["size"]["source"], "flag");
  EXPECT_EQ(json["settings"]["socket_mode"]["value"], "0660");
  EXPECT_EQ(json["settings"]["coredump"]["value"], false);
  EXPECT_EQ(json["settings"]["meta"]["source"], "default");
  EXPECT_EQ(json["notices"].size(), 1u);
}

TEST_F(ConfigTest, HttpIsServedOnlyWhereItIsAskedFor) {
  EXPECT_EQ(Loaded({}).http, "");
  EXPECT_EQ(Loaded({"--metrics", "--prometheus"}).http, "");
  EXPECT_THAT(Loaded({"--metrics"}).notices, ElementsAre(HasSubstr("--http")));
  EXPECT_EQ(Loaded({"--http=localhost:8080"}).http, "127.0.0.1:8080");
  EXPECT_EQ(Loaded({"--http", "[::1]:0"}).http, "[::1]:0");
  EXPECT_EQ(Loaded({"--http="}).http, "");
  for (const char* wrong : {"--http=8080", "--http=example.com:80", "--http=127.0.0.1"}) {
    EXPECT_THAT(Refused({wrong}), HasSubstr("--http"));
  }
}

TEST_F(ConfigTest, AddressesThatOthersReachNeedAToken) {
  for (const char* open : {"--http=0.0.0.0:8080", "--http=[::]:8080", "--http=10.1.2.3:8080"}) {
    EXPECT_THAT(Refused({open}),
                AllOf(HasSubstr("--http_token_file"), HasSubstr("127.0.0.1:8080")));
    EXPECT_EQ(Loaded({open, "--http_token_file=token"}).http_token_file, "/here/token");
  }
  EXPECT_THAT(Refused({"--http_token_file=token"}), HasSubstr("--http"));
}

TEST_F(ConfigTest, HelpAndVersionWorkWhateverElseIsWrong) {
  memory_.reset();
  variables_ = {{"VINEYARD_SIZE", "junk"}};
  EXPECT_EQ(Loaded({"--version", "--size", "junk"}).action, Config::Action::kPrintVersion);
  EXPECT_EQ(Loaded({"-h", "--config", "/absent"}).action, Config::Action::kPrintHelp);
}

TEST_F(ConfigTest, TheProcessToEndWithIsTakenFromTheCommandLineOnly) {
  EXPECT_EQ(Loaded({}).exit_with_parent, std::nullopt);
  EXPECT_EQ(Loaded({"--exit_with_parent=4711"}).exit_with_parent, 4711);
  for (const char* wrong : {"--exit-with-parent=0", "--exit-with-parent=-4",
                            "--exit-with-parent=4x", "--exit-with-parent=99999999999"}) {
    EXPECT_THAT(Refused({wrong}), HasSubstr("is not the number of a process"));
  }
  variables_["VINEYARD_EXIT_WITH_PARENT"] = "4711";
  EXPECT_EQ(Loaded({}).exit_with_parent, std::nullopt);
}

TEST(Help, TeachesEveryFlagAndEndsWithAnExample) {
  const std::string help = HelpText();
  for (const Flag& flag : AllFlags()) {
    EXPECT_THAT(help, HasSubstr("--" + std::string(flag.name)));
  }
  EXPECT_THAT(help.substr(help.find("example:")), HasSubstr("vineyardd --socket"));
  size_t longest = 0;
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  EXPECT_LE(longest, 100u);
}

TEST(EnvironmentOfThisProcess, TellsItsMemoryAndItsVariables) {
  const Environment environment = Environment::OfThisProcess();
  ASSERT_TRUE(environment.memory.has_value());
  EXPECT_GT(environment.memory->limit(), 0u);
  EXPECT_THAT(environment.working_directory, StartsWith("/"));
  ::setenv("VINEYARD_DEPLOYMENT", "tested", 1);
  EXPECT_EQ(environment.get("VINEYARD_DEPLOYMENT"), "tested");
  ::unsetenv("VINEYARD_DEPLOYMENT");
  EXPECT_EQ(environment.get("VINEYARD_DEPLOYMENT"), std::nullopt);
}

TEST_F(ConfigTest, WhatIsGuaranteedToTheDefaultVolumeIsAPartOfTheSize) {
  EXPECT_EQ(Loaded({"--size", "8Gi"}).guaranteed, 0U);
  EXPECT_EQ(Loaded({"--size", "8Gi", "--guaranteed=8Gi"}).guaranteed, 8 * kGi);
  variables_["VINEYARD_GUARANTEED"] = "1Gi";
  EXPECT_EQ(Loaded({"--size", "8Gi"}).guaranteed, kGi);
  EXPECT_THAT(Loaded({"--size", "8Gi"}).Print(), HasSubstr("guaranteed = 1073741824"));
  EXPECT_THAT(Refused({"--size", "8Gi", "--guaranteed", "9Gi"}),
              AllOf(HasSubstr("9 GiB"), HasSubstr("8 GiB")));
  EXPECT_THAT(Refused({"--size", "8Gi", "--guaranteed", "much"}), HasSubstr("--guaranteed"));
}

}  // namespace
}  // namespace vineyard::daemon
