// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/find_socket.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

namespace vineyard::client {
namespace {

namespace fs = std::filesystem;

// A machine with folders and an environment of its own.
class FindSocketTest : public ::testing::Test {
 protected:
  FindSocketTest() {
    std::string pattern = (fs::temp_directory_path() / "find_socket_XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(run() / "vineyard");
  }
  ~FindSocketTest() override { fs::remove_all(root_); }

  [[nodiscard]] fs::path run() const { return root_ / "run"; }

  // A file that stands for a socket, or holds a configuration.
  std::string Write(const fs::path& path, const std::string& text = "") {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  Result<std::string> Find(const std::optional<std::string>& named = {}) {
    const SocketSearch search{.socket = named, .config = config_, .run_directory = run().string()};
    return FindSocket(search, [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    });
  }

  std::string Found(const std::optional<std::string>& named = {}) {
    const Result<std::string> socket = Find(named);
    return socket.ok() ? *socket : socket.status().ToString();
  }

  fs::path root_;
  std::optional<std::string> config_;  // the argument
  std::map<std::string, std::string> variables_;
};

TEST_F(FindSocketTest, NothingNamedAndNothingThereIsUnavailable) {
  const Result<std::string> socket = Find();
  ASSERT_FALSE(socket.ok());
  EXPECT_EQ(socket.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(socket.status().message().find("VINEYARD_IPC_SOCKET"), std::string::npos);
}

TEST_F(FindSocketTest, EachPlaceGoesBeforeTheNext) {
  const std::string home = Write(root_ / "home/.local/vineyard/vineyard.sock");
  variables_["HOME"] = (root_ / "home").string();
  EXPECT_EQ(Found(), home);
  const std::string runtime = Write(root_ / "runtime/vineyard/vineyard.sock");
  variables_["XDG_RUNTIME_DIR"] = (root_ / "runtime").string();
  EXPECT_EQ(Found(), runtime);
  const std::string below = Write(run() / "vineyard/vineyard.sock");
  EXPECT_EQ(Found(), below);
  const std::string usual = Write(run() / "vineyard.sock");
  EXPECT_EQ(Found(), usual);
  const std::string other = Write(root_ / "other.sock");
  Write(run() / "vineyard/vineyard-config.yaml", "Vineyard:\n  IPCSocket: " + other + "\n");
  EXPECT_EQ(Found(), other);
  Write(run() / "vineyard-config.yaml", "Vineyard: {IPCSocket: vineyard.sock}\n");
  EXPECT_EQ(Found(), usual);
  variables_["VINEYARD_CONFIG"] =
      Write(root_ / "etc/mine.yaml", "Vineyard:\n  IPCSocket: a.sock\n");
  EXPECT_EQ(Found(), (root_ / "etc/a.sock").string()) << "relative to the file, there or not";
  variables_["VINEYARD_IPC_SOCKET"] = "named.sock";
  EXPECT_EQ(Found(), "named.sock") << "there or not";
  EXPECT_EQ(Found("argument.sock"), "argument.sock");
}

TEST_F(FindSocketTest, AConfigBelowRunWhoseSocketIsGoneIsPassed) {
  const std::string usual = Write(run() / "vineyard.sock");
  Write(run() / "vineyard-config.yaml", "Vineyard: {IPCSocket: gone.sock}\n");
  EXPECT_EQ(Found(), usual);
  Write(run() / "vineyard-config.yaml", "]]]: [not yaml\n");
  EXPECT_EQ(Found(), usual);
}

TEST_F(FindSocketTest, ConfigMayBeAFolder) {
  variables_["VINEYARD_CONFIG"] = root_.string();
  Write(root_ / "vineyard/vineyard-config.yaml", "Vineyard:\n  IPCSocket: /b.sock\n");
  EXPECT_EQ(Found(), "/b.sock");
  Write(root_ / "vineyard-config.yaml", "Vineyard:\n  IPCSocket: /a.sock\n");
  EXPECT_EQ(Found(), "/a.sock");
}

TEST_F(FindSocketTest, ANamedConfigIsUsedOrFailsAndNothingElseIsTaken) {
  Write(run() / "vineyard.sock");
  const std::string empty = Write(root_ / "empty.yaml", "Vineyard:\n  RPCEndpoint: a:1\n");
  for (const std::string& config : {(root_ / "gone.yaml").string(), run().string(), empty}) {
    variables_["VINEYARD_CONFIG"] = config;
    const Result<std::string> socket = Find();
    ASSERT_FALSE(socket.ok()) << config;
    EXPECT_EQ(socket.status().code(), StatusCode::kInvalid);
    EXPECT_NE(socket.status().message().find("VINEYARD_CONFIG"), std::string::npos);
    EXPECT_NE(socket.status().message().find(config), std::string::npos);
  }
}

TEST_F(FindSocketTest, AnEmptyArgumentIsAMistake) {
  Write(run() / "vineyard.sock");
  EXPECT_EQ(Find("").status().code(), StatusCode::kInvalid);
}

TEST_F(FindSocketTest, AConfigThatIsAnArgumentGoesBeforeTheEnvironments) {
  config_ = Write(root_ / "a.yaml", "Vineyard:\n  IPCSocket: /a.sock\n");
  variables_["VINEYARD_CONFIG"] = Write(root_ / "b.yaml", "Vineyard:\n  IPCSocket: /b.sock\n");
  EXPECT_EQ(Found(), "/a.sock");
  variables_["VINEYARD_IPC_SOCKET"] = "/c.sock";
  EXPECT_EQ(Found(), "/c.sock");
}

TEST_F(FindSocketTest, AnInstanceElsewhereNeedsACluster) {
  variables_["VINEYARD_RPC_ENDPOINT"] = "node:9600";
  EXPECT_EQ(Find().status().code(), StatusCode::kNeedsCluster);
  variables_["VINEYARD_IPC_SOCKET"] = "/a.sock";
  EXPECT_EQ(Found(), "/a.sock");
}

TEST_F(FindSocketTest, AnotherSettingComesFromTheFileThatWouldNameTheSocket) {
  const auto find = [this] {
    const SocketSearch search{.socket = {}, .config = config_, .run_directory = run().string()};
    return FindSetting("Pickle", search, [this](const std::string& name) {
      const auto found = variables_.find(name);
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    });
  };
  EXPECT_EQ(find().value(), std::nullopt);
  Write(run() / "vineyard-config.yaml", "Vineyard: {IPCSocket: /absent.sock}");
  Write(run() / "vineyard/vineyard-config.yaml", "Vineyard:\n  Pickle: refuse\n");
  EXPECT_EQ(find().value(), "refuse");
  variables_["VINEYARD_CONFIG"] = Write(root_ / "a.yaml", "Vineyard: {Pickle: allow}");
  EXPECT_EQ(find().value(), "allow");
  config_ = Write(root_ / "b.yaml", "Pickle: allow");  // in no section
  EXPECT_EQ(find().value(), std::nullopt);
  config_ = (root_ / "absent.yaml").string();
  EXPECT_FALSE(find().ok());
}

TEST(ValueInYaml, IsFoundInLinesAndInBraces) {
  for (const char* text : {
           "Vineyard:\n  IPCSocket: /a b.sock\n",
           "Vineyard:\n  IPCSocket: \"/a b.sock\"\n",
           "Vineyard:\n  IPCSocket: '/a b.sock' # quoted\n",
           "# comment\n\nOther:\n  IPCSocket: /no\nVineyard:\n\n  # comment\n  RPCEndpoint: a:1\n"
           "  IPCSocket: /a b.sock   # comment\n",
           "Vineyard:\r\n    IPCSocket:   /a b.sock\r\n",
           "Vineyard: {IPCSocket: /a b.sock}",
           "Vineyard: { RPCEndpoint: \"a:1,b:2\", IPCSocket: '/a b.sock' } # comment",
           "'Vineyard': {\"IPCSocket\": \"/a b.sock\"}",
       }) {
    EXPECT_EQ(ValueInYaml(text, "IPCSocket"), "/a b.sock") << text;
  }
  EXPECT_EQ(ValueInYaml("Vineyard:\n  IPCSocket: /a#b\n", "IPCSocket"), "/a#b");
}

TEST(ValueInYaml, OfOtherTextsIsAbsent) {
  for (const char* text :
       {"", "\n", "Vineyard:", "Vineyard:\n", "IPCSocket: /a\n", "Other:\n  IPCSocket: /a\n",
        "Vineyard:\n  IPCSocket:\n", "Vineyard:\n  IPCSocket: # none\n",
        "Vineyard:\nOther:\n  IPCSocket: /a\n", "Vineyard: {", "Vineyard: {IPCSocket",
        "Vineyard: {IPCSocket:", "Vineyard: {IPCSocket: }", "Vineyard: {,,,}", "{", "}", ":", "\"",
        "'"}) {
    EXPECT_EQ(ValueInYaml(text, "IPCSocket"), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace vineyard::client
