// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/table.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/size.h"
#include "cli/escape.h"
#include "vineyard/status.h"

namespace vineyard::cli {

namespace {

// One very long name must not push every other row apart.
constexpr size_t kWidest = 60;

void TrimEnd(std::string& text) { text.erase(text.find_last_not_of(' ') + 1); }

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  VY_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = EscapeForTerminal(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::ToString(size_t indent) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(std::min(width, kWidest));
  }
  std::string text;
  const auto add_line = [&](const auto& cell_at) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string_view cell = cell_at(i);
      const size_t width = DisplayWidth(cell);
      const std::string padding(width < widths[i] ? widths[i] - width : 0, ' ');
      if (i > 0) line += "  ";
      if (columns_[i].align == Align::kRight) line += padding;
      line += cell;
      if (columns_[i].align == Align::kLeft) line += padding;
    }
    TrimEnd(line);
    text.append(line).append("\n");
  };
  add_line([&](size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](size_t i) { return std::string_view(row[i]); });
  return text;
}

void Sheet::Add(std::string_view key, std::string_view value) {
  lines_.emplace_back(key, EscapeForTerminal(value));
}

std::string Sheet::ToString() const {
  size_t width = 0;
  for (const auto& [key, value] : lines_) width = std::max(width, key.size());
  std::string text;
  for (const auto& [key, value] : lines_) {
    std::string line = fmt::format("{:<{}}  {}", key, width, value);
    TrimEnd(line);
    text.append(line).append("\n");
  }
  return text;
}

std::string FormatBytes(uint64_t bytes) {
  std::string text = FormatSize(bytes);
  if (bytes >= 1024 && text.find('.') == std::string::npos) text.insert(text.find(' '), ".0");
  return text;
}

std::string FormatBytesExactly(uint64_t bytes) {
  if (bytes < 1024) return FormatBytes(bytes);
  return fmt::format("{} ({} bytes)", FormatBytes(bytes), bytes);
}

std::string FormatAge(std::chrono::nanoseconds age) {
  using std::chrono::duration_cast;
  const int64_t seconds = std::max<int64_t>(0, duration_cast<std::chrono::seconds>(age).count());
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  if (seconds < 2 * kMinute) return fmt::format("{}s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{}m", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{}h", seconds / kHour);
  return fmt::format("{}d", seconds / kDay);
}

std::string FormatTime(int64_t unix_ns) {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::nanoseconds(unix_ns)};
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(floor<std::chrono::milliseconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::string Count(uint64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

}  // namespace vineyard::cli
