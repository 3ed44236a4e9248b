// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/table.h"

#include <limits>

#include <gtest/gtest.h>

namespace vineyard::cli {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Table, AlignsColumnsAndLeavesNoSpaceAtLineEnds) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"SOCKET"}});
  table.AddRow({"a", "512 B", "/tmp/a.sock"});
  table.AddRow({"漢字 and more", "64.0 MiB", ""});
  EXPECT_EQ(table.ToString(),
            "NAME               SIZE  SOCKET\n"
            "a                 512 B  /tmp/a.sock\n"
            "漢字 and more  64.0 MiB\n");
}

TEST(Table, EscapesEveryCell) {
  Table table({{"NAME"}});
  table.AddRow({"two\nlines \x1b[31m"});
  EXPECT_EQ(table.ToString(2), "  NAME\n  two\\nlines \\x1b[31m\n");
}

TEST(Table, OneVeryLongCellDoesNotPushTheOthersApart) {
  Table table({{"NAME"}, {"ID"}});
  table.AddRow({std::string(5000, 'x'), "1"});
  table.AddRow({"y", "2"});
  EXPECT_EQ(table.ToString().size(), 62 + 3 + 5000 + 4 + 62 + 2U);
}

TEST(Sheet, AlignsValuesAndEscapesThem) {
  Sheet sheet;
  sheet.Add("id", "1");
  sheet.Add("volume", "a\rb");
  sheet.Add("pod", "");
  EXPECT_EQ(sheet.ToString(), "id      1\nvolume  a\\rb\npod\n");
}

TEST(FormatBytes, HasOneDigitFromAKibibyteOn) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{64} << 20), "64.0 MiB");
  EXPECT_EQ(FormatBytes((uint64_t{1} << 30) - 1), "1023.9 MiB");
  EXPECT_EQ(FormatBytes(std::numeric_limits<uint64_t>::max()), "15.9 EiB");
  EXPECT_EQ(FormatBytesExactly(100), "100 B");
  EXPECT_EQ(FormatBytesExactly(1536), "1.5 KiB (1536 bytes)");
}

TEST(FormatAge, GrowsCoarserWithTheYears) {
  EXPECT_EQ(FormatAge(seconds(0)), "0s");
  EXPECT_EQ(FormatAge(std::chrono::milliseconds(1999)), "1s");
  EXPECT_EQ(FormatAge(seconds(119)), "119s");
  EXPECT_EQ(FormatAge(minutes(2)), "2m");
  EXPECT_EQ(FormatAge(minutes(119)), "119m");
  EXPECT_EQ(FormatAge(hours(47)), "47h");
  EXPECT_EQ(FormatAge(hours(24 * 800)), "800d");
  EXPECT_EQ(FormatAge(seconds(-5)), "0s") << "clocks of two machines differ";
}

TEST(FormatTime, IsIso8601InUtc) {
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatTime(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatTime(std::numeric_limits<int64_t>::max()), "2262-04-11T23:47:16.854Z");
}

TEST(Count, SpeaksInSingularAndPlural) {
  EXPECT_EQ(Count(0, "object"), "0 objects");
  EXPECT_EQ(Count(1, "object"), "1 object");
  EXPECT_EQ(Count(2, "object"), "2 objects");
}

}  // namespace
}  // namespace vineyard::cli
