// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/logging.h"

#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vineyard::log {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Logging : public ::testing::Test {
 protected:
  void TearDown() override { Configure(Level::kInfo, Format::kText); }

  template <typename F>
  static std::string Captured(F&& log) {
    ::testing::internal::CaptureStderr();
    log();
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(Logging, HostileTextStaysOnItsLineInText) {
  const std::string line = Captured(
      [] { Info("client named", {{"name", "a\nfake line \"x\"={}%v\xff"}, {"empty", ""}}); });
  EXPECT_THAT(line, HasSubstr(R"(name="a\nfake line \"x\"={}%v)"));
  EXPECT_THAT(line, HasSubstr(R"(empty="")"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST_F(Logging, HostileTextStaysJsonInJson) {
  Configure(Level::kInfo, Format::kJson);
  const std::string line = Captured([] {
    Warning("client named",
            {{"name", "a\n\"}\xff"}, {"rate", std::numeric_limits<double>::infinity()}});
  });
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["level"], "warning");
  EXPECT_EQ(json["message"], "client named");
  EXPECT_EQ(json["name"], "a\n\"}\xef\xbf\xbd");
  EXPECT_TRUE(json["rate"].is_null());
}

TEST_F(Logging, NothingIsWrittenBelowTheLevel) {
  Configure(Level::kError, Format::kText);
  EXPECT_EQ(Captured([] {
              Debug("a");
              Info("b");
              Warning("c");
            }),
            "");
  EXPECT_THAT(Captured([] { Error("d"); }), HasSubstr(" error d\n"));
  Configure(Level::kOff, Format::kText);
  EXPECT_EQ(Captured([] { Error("e"); }), "");
}

TEST_F(Logging, ALineHasTimeLevelMessageAndFields) {
  const std::string path = "/run/vineyard.sock";
  const std::string line = Captured([&] {
    Info("engine started", {{"generation", 3},
                            {"socket", path},
                            {"bytes", ~uint64_t{0}},
                            {"change", -1},
                            {"rate", 0.5},
                            {"root", true}});
  });
  EXPECT_THAT(line, MatchesRegex("20..-..-..T..:..:..\\....Z info engine started generation=3 "
                                 "socket=/run/vineyard.sock bytes=18446744073709551615 change=-1 "
                                 "rate=0.5 root=true\n"));
}

TEST(LogLevel, NamesAreReadAgain) {
  EXPECT_EQ(ParseLevel("verbose"), std::nullopt);
  EXPECT_EQ(ParseLevel(""), std::nullopt);
  EXPECT_EQ(ParseLevel("warn"), Level::kWarning);
  for (int i = 0; i <= static_cast<int>(Level::kOff); ++i) {
    EXPECT_EQ(ParseLevel(LevelName(static_cast<Level>(i))), static_cast<Level>(i));
  }
}

}  // namespace
}  // namespace vineyard::log
