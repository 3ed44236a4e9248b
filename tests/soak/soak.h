// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Soak: rounds of random operations by several processes, while engines and clients are killed; between rounds,
// when nobody does anything, the judge compares.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/socket.h"
#include "soak/judge.h"
#include "soak/process.h"
#include "soak/seat.h"

namespace vineyard::soak {

struct SoakOptions {
  uint64_t operations = 5'000'000;  ///< Of all clients together, at least.
  uint32_t clients = 8;
  uint64_t round = 20'000;  ///< Operations of a client between two checks.
  uint64_t clear = 8;       ///< Rounds after which everything is deleted.
  uint64_t engine_kills = 0;
  uint64_t client_kills = 0;
  double engine_pause = 0.05;  ///< Seconds between two kills at random, on average.
  double client_pause = 0.05;
  std::string size = "512Mi";
  uint64_t live_mib = 128;  ///< What the clients' objects may have, together.
  uint32_t large = 20;      ///< Of 1000 puts, how many are of sizes that lie in extents.
  bool spill = false;
  bool forget = false;  ///< The judge deletes an object behind a client's back: it must be found.
  uint64_t seed = 0;
};

/// What a worker is told, and answers.
struct Message {
  enum class What : uint64_t { kWork, kCheckAll, kGeneration, kDeleteAll } what;
  uint64_t number;
};

class Soak {
 public:
  /// `seats_path`: where a worker opens `seats`.
  Soak(const SoakOptions& options, Instance& instance, Judge judge, std::span<Seat> seats,
       std::string seats_path);
  ~Soak();
  Soak(const Soak&) = delete;
  Soak& operator=(const Soak&) = delete;

  Status Run();

 private:
  struct Process {
    pid_t pid = -1;  // -1: none has the seat
    os::UniqueFd line;
    bool busy = false;
  };

  Status StartMissing();
  Status Tell(uint32_t who, Message message);
  /// Until nobody is busy any more; kills meanwhile if it may.
  Status AwaitAll(bool kill);
  Status ReadAnswer(uint32_t who);
  void KillWhatIsDue();
  Status Round();
  /// The same of all that live.
  Status Ask(Message message);
  Status Quiesce();
  Status Forget();
  [[nodiscard]] uint64_t operations() const;
  [[nodiscard]] bool IsDone() const;
  [[nodiscard]] os::TimePoint After(double seconds);
  void Report(const char* what) const;

  const SoakOptions options_;
  Instance& instance_;
  Judge judge_;
  std::span<Seat> seats_;
  const std::string seats_path_;
  std::mt19937_64 random_;
  std::vector<Process> processes_;
  std::vector<uint64_t> answers_;
  os::TimePoint begin_ = os::Clock::now();
  os::TimePoint next_engine_;
  os::TimePoint next_client_;
  uint64_t generation_ = 1;
  uint64_t random_kills_ = 0;
  uint64_t client_deaths_ = 0;
  uint64_t clearings_ = 0;
};

/// What the process of one seat runs. Its arguments, behind the word "worker": the instance's socket, the seats'
/// file, and numbers: which seat, the line's descriptor, WorkerOptions' random, most_bytes, large.
constexpr int kWorkerArguments = 7;
int RunWorker(std::span<char* const> arguments);

}  // namespace vineyard::soak
