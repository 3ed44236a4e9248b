// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A soak: millions of random operations by several processes on one instance, engines and clients killed
// meanwhile, against models. Exit code 1 where a promise was broken; then the folder with the log stays.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "os/mapping.h"
#include "os/memfd.h"
#include "soak/crash_places.h"
#include "soak/restart.h"
#include "soak/soak.h"

namespace vineyard::soak {
namespace {

namespace fs = std::filesystem;

struct Options : SoakOptions {
  std::string vineyardd = VINEYARDD_PATH;
  uint64_t restart_objects = 100'000;
  int restarts = 0;
  std::string places;  // what the names of the places begin with at which engines die
};

void Describe(CLI::App& app, Options& o) {
  app.add_option("--operations", o.operations, "of all clients together")->capture_default_str();
  app.add_option("--clients", o.clients)->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option("--round", o.round, "operations of a client between checks")
      ->capture_default_str();
  app.add_option("--clear", o.clear, "rounds after which everything is deleted")
      ->capture_default_str();
  app.add_option("--engine-kills", o.engine_kills, "at named places, and at random");
  app.add_option("--client-kills", o.client_kills);
  app.add_option("--places", o.places, "engines die only at those whose names begin so: commit.");
  app.add_option("--engine-pause", o.engine_pause, "seconds between kills at random, on average")
      ->capture_default_str();
  app.add_option("--client-pause", o.client_pause)->capture_default_str();
  app.add_option("--size", o.size, "of the instance")->capture_default_str();
  app.add_option("--live", o.live_mib, "MiB that the objects may have together")
      ->capture_default_str();
  app.add_option("--large", o.large, "of 1000 puts, how many are of 300 kB and more")
      ->capture_default_str();
  app.add_flag("--spill", o.spill, "large objects may go to a disk, below TMPDIR");
  app.add_option("--seed", o.seed);
  app.add_option("--restarts", o.restarts, "measure how long an engine's death is felt, so often");
  app.add_option("--restart-objects", o.restart_objects)->capture_default_str();
  app.add_flag("--forget", o.forget,
               "to see that it fails: objects are deleted behind their backs");
  app.add_option("--vineyardd", o.vineyardd, "another program than the one built with this");
}

void PrintTable(std::span<const Seat> seats, const std::map<std::string, uint64_t>& crashes,
                bool named) {
  Tally all;
  for (const Seat& seat : seats) {
    for (size_t i = 0; i < all.changes.size(); ++i) all.changes[i] += seat.tally.changes[i];
    all.gets += seat.tally.gets;
    all.gets_by_name += seat.tally.gets_by_name;
    all.misses += seat.tally.misses;
    all.refused += seat.tally.refused;
    all.full += seat.tally.full;
  }
  fmt::print(
      "  {:>12} gets\n  {:>12} gets by name\n  {:>12} gets of what is gone\n  {:>12} refused\n",
      all.gets, all.gets_by_name, all.misses, all.refused);
  for (uint32_t i = 0; i < kKinds; ++i) {
    fmt::print("  {:>12} {}\n", all.changes[i], KindName(static_cast<Kind>(i)));
  }
  if (all.full > 0) fmt::print("  {:>12} found no room\n", all.full);
  if (!named) return;
  for (const std::string& place : CrashPlaces(VINEYARD_SOURCE_DIR "/src")) {
    const auto it = crashes.find(place);
    fmt::print("  {:>12} died at {}\n", it == crashes.end() ? 0 : it->second, place);
  }
}

Status RunSoak(const Options& options, Instance& instance) {
  const uint64_t bytes = options.clients * sizeof(Seat);
  VY_ASSIGN_OR_RETURN(const os::UniqueFd file, os::CreateMemfd("vineyard-soak", bytes));
  VY_ASSIGN_OR_RETURN(const os::Mapping memory,
                      os::Mapping::Open(file, bytes, os::Access::kReadWrite));
  const std::span seats(reinterpret_cast<Seat*>(memory.data()), options.clients);
  for (Seat& seat : seats) seat.next_seed = kSeedStep;
  VY_ASSIGN_OR_RETURN(Client client, instance.Connect());
  Soak soak(options, instance, Judge(instance, std::move(client), seats), seats,
            fmt::format("/proc/{}/fd/{}", ::getpid(), file.get()));
  VY_RETURN_IF_ERROR(soak.Run());
  PrintTable(seats, CountCrashes(instance.log()), options.engine_kills > 0);
  return {};
}

Status RunRestarts(const Options& options, const Instance& instance) {
  VY_ASSIGN_OR_RETURN(Client client, instance.Connect());
  VY_ASSIGN_OR_RETURN(const auto took,
                      MeasureRestarts(instance, client, options.restart_objects, options.restarts));
  fmt::print(
      "soak: with {} objects, served again after an engine's death: median {:.0f} ms, "
      "{:.0f} to {:.0f} of {}\n",
      options.restart_objects, took[took.size() / 2], took.front(), took.back(), took.size());
  return {};
}

int Run(Options options) {
  if (options.seed == 0) options.seed = std::random_device()();
  fmt::print("soak: seed {}\n", options.seed);
  std::fflush(stdout);
  std::string folder = (fs::temp_directory_path() / "vineyard-soak-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    fmt::print(stderr, "error: no folder for the soak: {}\n", std::strerror(errno));
    return 1;
  }
  Instance::Options daemon{.program = options.vineyardd,
                           .folder = folder,
                           .flags = {"--size", options.size},
                           .environment = {}};
  if (options.spill) daemon.flags.insert(daemon.flags.end(), {"--spill_path", folder + "/disk"});
  if (options.engine_kills > 0) {
    daemon.environment = {
        {"VINEYARD_CRASH_AT",
         RandomCrashes(CrashPlaces(VINEYARD_SOURCE_DIR "/src", options.places), options.seed)},
        {"VINEYARD_CRASH_GENERATION", fmt::format("1-{}", options.engine_kills)}};
  }
  Status s;
  {
    Instance instance(daemon);
    if (options.operations > 0) s = RunSoak(options, instance);
    if (s.ok() && options.restarts > 0) s = RunRestarts(options, instance);
  }
  if (!s.ok()) {
    fmt::print(stderr, "soak: {}\nsoak: seed {}; the instance's log is in {}\n", s.ToString(),
               options.seed, folder);
    return 1;
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return 0;
}

}  // namespace
}  // namespace vineyard::soak

int main(int argc, char** argv) {
  using namespace vineyard::soak;
  if (argc == 2 + kWorkerArguments && std::string_view(argv[1]) == "worker") {
    return RunWorker(std::span(argv + 2, kWorkerArguments));
  }
  Options options;
  CLI::App app("Random operations by several processes, engines and clients killed meanwhile.");
  Describe(app, options);
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
