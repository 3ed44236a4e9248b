// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: a real vineyardd in a folder of its own, and processes that use it.
//
// Everything started here ends with the test, also when the test dies. A watchdog ends a test that
// hangs; nothing here asserts that something was fast.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "os/fd.h"
#include "os/process.h"
#include "vineyard/client.h"

namespace vineyard::testing {

/// How much longer the long tests are to be: VINEYARD_TEST_SCALE, 1 if unset.
int Scale();
/// True when this program runs slowly because it watches itself (a sanitizer).
bool IsInstrumented();

/// A folder that goes with all that is in it.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A process forked from the test, killed when this goes if it still runs. `run` gives its exit code;
/// what throws, or fails an ASSERT of the child's own, is up to it.
class Child {
 public:
  explicit Child(const std::function<int()>& run);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL, and waits for its end.
  void Kill();
  /// Its exit code, or minus the number of the signal that ended it.
  int Wait();

 private:
  pid_t pid_;
};

/// One process tells another something, once or several times. Made before the fork.
class Bell {
 public:
  Bell();
  void Ring(uint64_t value = 0) const;
  /// Waits for the next ring; nullopt when nobody is left to ring.
  [[nodiscard]] std::optional<uint64_t> Wait() const;
  /// In the process that only waits: else it never notices that nobody is left.
  void OnlyWait() { write_.Reset(); }

 private:
  os::UniqueFd read_;
  os::UniqueFd write_;
};

/// Asks again and again; false if it does not become true in a minute (several where instrumented).
bool Eventually(const std::function<bool()>& condition);
/// Asks until the answer stays the same for a while: the answer.
uint64_t Settled(const std::function<uint64_t()>& ask);
/// How many descriptors a process has.
uint64_t OpenDescriptors(pid_t pid);

/// The process that it started first and that has not ended; 0: there is none.
pid_t ChildOf(pid_t parent);

struct DaemonOptions {
  std::string size = "256Mi";
  std::vector<std::string> flags;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string program = {};             ///< Instead of the one that was built.
  std::optional<uint64_t> descriptors;  ///< That each of its processes may have.
  std::optional<uid_t> user;            ///< Another than the test's: root only. See UserMayRunIt.
  std::string log = {};  ///< Where it writes its log instead of where log() reads it.
};

class TestDaemon {
 public:
  /// Starts it, and waits until it answers.
  explicit TestDaemon(DaemonOptions options = {});
  /// The program that was built.
  static std::string Program();
  /// Whether that user can reach the program, wherever this tree lies.
  static bool UserMayRunIt(uid_t user);
  TestDaemon(const TestDaemon&) = delete;
  TestDaemon& operator=(const TestDaemon&) = delete;
  /// Ends it however it is. Shows what it has logged if the test has failed, and fails it where an
  /// engine has logged that it lost a request.
  ~TestDaemon();

  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  [[nodiscard]] std::string log() const;

  [[nodiscard]] pid_t keeper() const { return keeper_; }
  /// The engine of now; waits for one if there is none.
  [[nodiscard]] pid_t engine() const;
  /// SIGKILL, and waits until it has ended. Another engine starts at once.
  void KillEngine();
  /// SIGKILL, and waits until keeper and engine have ended.
  void KillKeeper();
  /// Both at once, with all of their process group: as a container ends.
  void KillGroup();
  void PauseEngine();
  void ResumeEngine();
  void PauseKeeper();
  void ResumeKeeper();
  /// SIGTERM: the exit code. Fails the test where a socket or a process is left.
  int Stop();
  /// At the same socket, after a Stop or KillKeeper.
  void Start();

  /// A connected client; fails the test if there is none.
  [[nodiscard]] Client Connect() const;

 private:
  void Launch();

  DaemonOptions options_;
  TempFolder folder_;
  std::string socket_;
  pid_t keeper_ = -1;
  pid_t paused_ = -1;
};

// ---- values

constexpr size_t kSmall = 1000;                 // lies in a record
constexpr size_t kLarge = size_t{1} << 20;      // in an extent of one chunk
constexpr size_t kTwoChunks = size_t{3} << 20;  // in an extent of two

/// Bytes that no other seed or size gives.
std::vector<std::byte> Pattern(uint64_t seed, size_t size);
bool IsPattern(std::span<const std::byte> bytes, uint64_t seed);
/// An object of type "test" with one buffer of Pattern(seed, size).
Result<ObjectId> PutPattern(Client& client, uint64_t seed, size_t size, std::string name = {});
/// True when the object has one buffer, with these bytes.
bool HoldsPattern(const Result<Object>& object, uint64_t seed, size_t size);

}  // namespace vineyard::testing
