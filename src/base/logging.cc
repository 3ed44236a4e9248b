// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/logging.h"

#include <iterator>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <nlohmann/json.hpp>

namespace vineyard::log {

namespace {

// spdlog adds time and level, and writes each line with one call, so that the lines of two processes
// that share stderr do not mix. What is logged is "%v", made below.
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

std::atomic<Format> g_format = Format::kText;

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
    case Level::kOff: return spdlog::level::off;
  }
  return spdlog::level::info;
}

void SetPattern(spdlog::logger& logger, const char* pattern) {
  logger.set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
}

// Never destroyed: threads may log while the process ends.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    SetPattern(*made, kTextPattern);
    return made;
  }();
  return *logger;
}

// In quotes, with what would break a line or the quotes escaped, and no byte that is not UTF-8.
std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool IsPlain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

void AppendValue(std::string& line, const Field& field, Format format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    line += format == Format::kText && IsPlain(*text) ? std::string(*text) : Quoted(*text);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    line += nlohmann::json(*number).dump();  // "null" where JSON knows no such number
  } else if (const auto* flag = std::get_if<bool>(&field.value)) {
    line += *flag ? "true" : "false";
  } else if (const auto* negative = std::get_if<int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(line), "{}", *negative);
  } else {
    fmt::format_to(std::back_inserter(line), "{}", std::get<uint64_t>(field.value));
  }
}

}  // namespace

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
    case Level::kOff: return "off";
  }
  return "unknown";
}

std::optional<Level> ParseLevel(std::string_view name) {
  for (const Level level :
       {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError, Level::kOff}) {
    if (name == LevelName(level)) return level;
  }
  if (name == "warn") return Level::kWarning;
  return std::nullopt;
}

void Configure(Level level, Format format) {
  internal::g_level.store(level, std::memory_order_relaxed);
  g_format.store(format, std::memory_order_relaxed);
  SetPattern(Logger(), format == Format::kJson ? kJsonPattern : kTextPattern);
}

void internal::Write(Level level, std::string_view message, Fields fields) {
  const Format format = g_format.load(std::memory_order_relaxed);
  std::string line;
  if (format == Format::kJson) {
    line.append("\"message\":").append(Quoted(message));
    for (const Field& field : fields) {
      line.append(",").append(Quoted(field.key)).append(":");
      AppendValue(line, field, format);
    }
  } else {
    line.append(message);
    for (const Field& field : fields) {
      line.append(" ").append(field.key).append("=");
      AppendValue(line, field, format);
    }
  }
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace vineyard::log
