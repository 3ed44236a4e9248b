// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: vineyardctl as a program, against a vineyardd of the test's own.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "vineyard/client.h"

namespace vineyard::cli {

namespace fs = std::filesystem;
using nlohmann::json;
using Words = std::vector<std::string>;

// Starts a program with these words, and its output in these files. `variables` are set in its
// environment, or with an empty value taken out.
inline pid_t Start(const Words& words,
                   const std::vector<std::pair<std::string, std::string>>& variables, int out,
                   int err) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  for (const auto& [name, value] : variables) {
    value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
  }
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

inline std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Ran {
  int code = -1;  // the exit code, or the negative number of a signal
  std::string out;
  std::string err;

  [[nodiscard]] json Json() const { return json::parse(out, nullptr, false); }
};

inline int CodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class ProgramTest : public ::testing::Test {
 protected:
  using Variables = std::vector<std::pair<std::string, std::string>>;

  /// `program`: the daemon's, whose folder is the test's if it is empty: another may be put in its place.
  explicit ProgramTest(std::string program = VINEYARDD, const Variables& of_daemon = {})
      : program_(std::move(program)) {
    std::string pattern = (fs::temp_directory_path() / "cli_XXXXXX").string();
    folder_ = fs::canonical(::mkdtemp(pattern.data()));
    socket_ = (folder_ / "vineyard.sock").string();
    variables_ = {
        {"VINEYARD_IPC_SOCKET", socket_}, {"VINEYARD_CONFIG", ""}, {"XDG_RUNTIME_DIR", ""},
        {"HOME", folder_.string()},       {"VINEYARD_SIZE", ""},   {"VINEYARD_SOCKET", ""}};
    if (program_.empty()) {
      program_ = (folder_ / "vineyardd").string();
      fs::copy_file(VINEYARDD, program_);
    }
    const int log = Open("vineyardd.log");
    Variables variables = variables_;
    variables.insert(variables.end(), of_daemon.begin(), of_daemon.end());
    daemon_ = Start({program_, "--socket", socket_, "--size", "64Mi"}, variables, log, log);
    ::close(log);
  }

  void SetUp() override {
    const Ran ran = Run({"status", "--wait", "60s"});
    ASSERT_EQ(ran.code, 0) << ran.err << Slurp(folder_ / "vineyardd.log");
  }

  ~ProgramTest() override {
    ::kill(daemon_, SIGTERM);
    ::waitpid(daemon_, nullptr, 0);
    std::error_code error;
    fs::remove_all(folder_, error);
  }

  [[nodiscard]] int Open(const std::string& name) const {
    return ::open((folder_ / name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }

  Ran Run(Words words, const std::vector<std::pair<std::string, std::string>>& more = {}) {
    words.insert(words.begin(), VINEYARDCTL);
    std::vector<std::pair<std::string, std::string>> variables = variables_;
    variables.insert(variables.end(), more.begin(), more.end());
    const int out = Open("out");
    const int err = Open("err");
    const pid_t pid = Start(words, variables, out, err);
    ::close(out);
    ::close(err);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {CodeOf(status), Slurp(folder_ / "out"), Slurp(folder_ / "err")};
  }

  // Expects success, and gives the document.
  json RunJson(Words words) {
    words.insert(words.end(), {"-o", "json"});
    const Ran ran = Run(words);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_FALSE(ran.Json().is_discarded()) << ran.out;
    return ran.Json();
  }

  Client Connected() {
    Result<Client> client = Client::Connect(socket_);
    if (!client.ok()) ADD_FAILURE() << client.status().ToString();
    return std::move(client).value();
  }

  ObjectId Put(const ObjectBuilder& builder, const std::string& name = "") {
    Client client = Connected();
    const Result<ObjectId> id = client.Put(builder, {.name = name});
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return id.ok() ? *id : ObjectId();
  }

  Variables variables_;
  std::string program_;
  fs::path folder_;
  std::string socket_;
  pid_t daemon_ = -1;
};

}  // namespace vineyard::cli
