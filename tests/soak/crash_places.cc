// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/crash_places.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <regex>
#include <set>
#include <string_view>

#include <fmt/format.h>

namespace vineyard::soak {

namespace fs = std::filesystem;

std::vector<std::string> CrashPlaces(const std::string& source, const std::string& prefix) {
  std::set<std::string> places;
  const std::regex call(R"re(CrashPoint\("([a-z_.]+)"\))re");
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cc") || path.ends_with("_test.cc")) continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::sregex_iterator it(text.begin(), text.end(), call), end; it != end; ++it) {
      const std::string place = (*it)[1];
      if (place.starts_with(prefix)) places.insert(place);
    }
  }
  return {places.begin(), places.end()};
}

std::string RandomCrashes(const std::vector<std::string>& places, uint64_t random) {
  std::mt19937_64 generator(random);
  std::vector<std::string> entries;
  for (const std::string& place : places) {
    for (int i = 0; i < 12; ++i) {
      // Half of them at once: rare places are not passed often.
      const uint64_t times = 1 + generator() % (uint64_t{1} << (i % 2 == 0 ? 0 : i));
      entries.push_back(fmt::format("{}:{}", place, times));
    }
  }
  std::ranges::shuffle(entries, generator);
  return fmt::format("{}", fmt::join(entries, ","));
}

std::map<std::string, uint64_t> CountCrashes(const std::string& log) {
  constexpr std::string_view kSays = "crash point ";
  std::map<std::string, uint64_t> crashes;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kSays)) ++crashes[line.substr(kSays.size())];
  }
  return crashes;
}

}  // namespace vineyard::soak
