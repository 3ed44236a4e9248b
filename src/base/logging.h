// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What vineyardd says on stderr: constant messages with fields, as text or as JSON, one line each.
//
//   log::Info("engine started", {{"generation", 3}, {"socket", path}});
//   2026-01-02T03:04:05.678Z info engine started generation=3 socket=/run/vineyard.sock
//   {"time":"2026-01-02T03:04:05.678Z","level":"info","message":"engine started","generation":3,…}
//
// For the daemon alone: a library does not talk. Any thread may log; a line below the level costs
// one relaxed load and no allocation, as fields only refer to their values.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <variant>

namespace vineyard::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError, kOff };
enum class Format : uint8_t { kText, kJson };

std::string_view LevelName(Level level);
/// "debug", "info", "warning" (or "warn"), "error", "off"; nullopt for anything else.
std::optional<Level> ParseLevel(std::string_view name);

/// To be called before other threads log. Until then: kInfo and kText.
void Configure(Level level, Format format);

/// A text that the compiler knows, so that lines can be counted and searched for.
struct Message {
  consteval Message(const char* constant) : text(constant) {}  // NOLINT: implicit
  std::string_view text;
};

/// A named value. Text is referred to, not copied: it must live until the line is written.
struct Field {
  template <std::signed_integral T>
  constexpr Field(std::string_view k, T v) : key(k), value(static_cast<int64_t>(v)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  constexpr Field(std::string_view k, T v) : key(k), value(static_cast<uint64_t>(v)) {}
  template <std::same_as<bool> T>  // not what merely converts to bool, such as a pointer
  constexpr Field(std::string_view k, T v) : key(k), value(v) {}
  constexpr Field(std::string_view k, double v) : key(k), value(v) {}
  template <std::convertible_to<std::string_view> T>
  constexpr Field(std::string_view k, const T& v) : key(k), value(std::string_view(v)) {}

  std::string_view key;
  std::variant<int64_t, uint64_t, double, bool, std::string_view> value;
};
using Fields = std::initializer_list<Field>;

namespace internal {
inline std::atomic<Level> g_level = Level::kInfo;
void Write(Level level, std::string_view message, Fields fields);
}  // namespace internal

inline bool Enabled(Level level) {
  return level >= internal::g_level.load(std::memory_order_relaxed);
}

inline void Debug(Message message, Fields fields = {}) {
  if (Enabled(Level::kDebug)) [[unlikely]] {
    internal::Write(Level::kDebug, message.text, fields);
  }
}
inline void Info(Message message, Fields fields = {}) {
  if (Enabled(Level::kInfo)) internal::Write(Level::kInfo, message.text, fields);
}
inline void Warning(Message message, Fields fields = {}) {
  if (Enabled(Level::kWarning)) internal::Write(Level::kWarning, message.text, fields);
}
inline void Error(Message message, Fields fields = {}) {
  if (Enabled(Level::kError)) internal::Write(Level::kError, message.text, fields);
}

}  // namespace vineyard::log
