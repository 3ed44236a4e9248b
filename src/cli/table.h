// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Tables for people, and how sizes and ages read in them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vineyard::cli {

enum class Align : uint8_t { kLeft, kRight };

struct Column {
  std::string_view title;
  Align align = Align::kLeft;
};

/// Rows below a line of titles. Cells are escaped when they are added, so that nobody forgets it.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// REQUIRES: one cell for each column.
  void AddRow(std::vector<std::string> cells);
  /// Each line begins with `indent` spaces, and none ends with one.
  [[nodiscard]] std::string ToString(size_t indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// What is known of one thing: "Size    64.0 MiB", a line each. Values are escaped.
class Sheet {
 public:
  void Add(std::string_view key, std::string_view value);
  [[nodiscard]] std::string ToString() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

/// "512 B", "64.0 MiB": always one digit after the point from 1 KiB on, rounded down.
std::string FormatBytes(uint64_t bytes);
/// "64.0 MiB (67108864 bytes)".
std::string FormatBytesExactly(uint64_t bytes);
/// "12s", "5m", "3h", "8d"; "0s" for what is yet to come (clocks differ).
std::string FormatAge(std::chrono::nanoseconds age);
/// "2026-01-02T03:04:05.678Z".
std::string FormatTime(int64_t unix_ns);
/// "1 object", "3 objects".
std::string Count(uint64_t count, std::string_view thing);

}  // namespace vineyard::cli
