// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_type.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <fmt/format.h>

namespace vineyard::types {

namespace {

struct Simple {
  std::string_view format;
  Layout layout;
  int64_t width = 0;
  bool large = false;
  bool text = false;
};

constexpr std::array kSimple = {
    Simple{"n", Layout::kNull},
    Simple{"b", Layout::kBits},
    Simple{"c", Layout::kFixed, 1},
    Simple{"C", Layout::kFixed, 1},
    Simple{"s", Layout::kFixed, 2},
    Simple{"S", Layout::kFixed, 2},
    Simple{"i", Layout::kFixed, 4},
    Simple{"I", Layout::kFixed, 4},
    Simple{"l", Layout::kFixed, 8},
    Simple{"L", Layout::kFixed, 8},
    Simple{"e", Layout::kFixed, 2},
    Simple{"f", Layout::kFixed, 4},
    Simple{"g", Layout::kFixed, 8},
    Simple{"z", Layout::kBinary, 0, false, false},
    Simple{"Z", Layout::kBinary, 0, true, false},
    Simple{"u", Layout::kBinary, 0, false, true},
    Simple{"U", Layout::kBinary, 0, true, true},
    Simple{"vz", Layout::kBinaryView, 0, false, false},
    Simple{"vu", Layout::kBinaryView, 0, false, true},
    Simple{"tdD", Layout::kFixed, 4},
    Simple{"tdm", Layout::kFixed, 8},
    Simple{"tts", Layout::kFixed, 4},
    Simple{"ttm", Layout::kFixed, 4},
    Simple{"ttu", Layout::kFixed, 8},
    Simple{"ttn", Layout::kFixed, 8},
    Simple{"tDs", Layout::kFixed, 8},
    Simple{"tDm", Layout::kFixed, 8},
    Simple{"tDu", Layout::kFixed, 8},
    Simple{"tDn", Layout::kFixed, 8},
    Simple{"tiM", Layout::kFixed, 4},
    Simple{"tiD", Layout::kFixed, 8},
    Simple{"tin", Layout::kFixed, 16},
    Simple{"+s", Layout::kStruct},
    Simple{"+l", Layout::kList},
    Simple{"+m", Layout::kList},
    Simple{"+L", Layout::kList, 0, true},
    Simple{"+vl", Layout::kListView},
    Simple{"+vL", Layout::kListView, 0, true},
    Simple{"+r", Layout::kRunEnds},
};

// A decimal number that makes up all of the text.
std::optional<int64_t> NumberOf(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  while (true) {
    const size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

Status Senseless(std::string_view format) {
  return Status::Invalid(fmt::format("the Arrow type '{}' makes no sense", Short(format)));
}

Status ParseWidth(Type* type, std::string_view digits, Layout layout) {
  const std::optional<int64_t> width = NumberOf(digits);
  if (!width || *width < 0 || *width > INT32_MAX) return Senseless(type->format);
  type->layout = layout;
  type->width = *width;
  return {};
}

// "d:PRECISION,SCALE" or "d:PRECISION,SCALE,BITS"
Status ParseDecimal(Type* type) {
  const auto parts = Split(std::string_view(type->format).substr(2));
  if (parts.size() != 2 && parts.size() != 3) return Senseless(type->format);
  const auto precision = NumberOf(parts[0]);
  const auto scale = NumberOf(parts[1]);
  const auto bits = parts.size() == 3 ? NumberOf(parts[2]) : 128;
  if (!precision || !scale || !bits || *scale < INT32_MIN || *scale > INT32_MAX) {
    return Senseless(type->format);
  }
  const int64_t most = *bits == 32    ? 9
                       : *bits == 64  ? 18
                       : *bits == 128 ? 38
                       : *bits == 256 ? 76
                                      : 0;
  if (*precision < 1 || *precision > most) return Senseless(type->format);
  type->layout = Layout::kFixed;
  type->width = *bits / 8;
  if (*bits == 128) type->format = fmt::format("d:{},{}", *precision, *scale);
  return {};
}

// "+us:0,5" or "+ud:…"
Status ParseUnion(Type* type) {
  type->layout = type->format[2] == 's' ? Layout::kSparseUnion : Layout::kDenseUnion;
  std::set<int64_t> seen;
  for (const std::string_view part : Split(std::string_view(type->format).substr(4))) {
    const std::optional<int64_t> code = NumberOf(part);
    if (!code || *code < 0 || *code > 127 || !seen.insert(*code).second) {
      return Senseless(type->format);
    }
    type->codes.push_back(static_cast<int8_t>(*code));
  }
  return {};
}

bool IsTimestamp(std::string_view format) {
  return format.size() >= 4 && format.starts_with("ts") &&
         std::string_view("smun").contains(format[2]) && format[3] == ':';
}

}  // namespace

std::string Type::Name() const {
  if (extension) return fmt::format("extension {}", Short(extension->name));
  return dictionary ? "dictionary of " + dictionary->Name() : std::string(Short(format));
}

Status ParseFormat(Type* type) {
  const std::string_view format = type->format;
  const auto simple = std::ranges::find(kSimple, format, &Simple::format);
  if (simple != kSimple.end()) {
    type->layout = simple->layout;
    type->width = simple->width;
    type->large = simple->large;
    type->text = simple->text;
    return {};
  }
  if (IsTimestamp(format)) {
    type->layout = Layout::kFixed;
    type->width = 8;
    return {};
  }
  if (format.starts_with("w:")) return ParseWidth(type, format.substr(2), Layout::kFixed);
  if (format.starts_with("+w:")) return ParseWidth(type, format.substr(3), Layout::kFixedList);
  if (format.starts_with("d:")) return ParseDecimal(type);
  if (format.starts_with("+us:") || format.starts_with("+ud:")) return ParseUnion(type);
  return Newer(fmt::format("the Arrow type '{}' is not known here", Short(format)));
}

Status CheckType(const Type& type) {
  constexpr std::string_view kIntegers = "cCsSiIlL";
  const std::string_view format = type.format;
  if (type.dictionary) {
    if (format.size() == 1 && kIntegers.contains(format[0]) && type.children.empty()) return {};
    return Status::Invalid(fmt::format("the indices of a dictionary are '{}'", Short(format)));
  }
  size_t wanted = 0;
  switch (type.layout) {
    case Layout::kNull:
    case Layout::kBits:
    case Layout::kFixed:
    case Layout::kBinary:
    case Layout::kBinaryView: break;
    case Layout::kList:
    case Layout::kListView:
    case Layout::kFixedList: wanted = 1; break;
    case Layout::kRunEnds: wanted = 2; break;
    case Layout::kStruct: wanted = type.children.size(); break;
    case Layout::kSparseUnion:
    case Layout::kDenseUnion: wanted = type.codes.size(); break;
  }
  if (type.children.size() != wanted) {
    return Status::Invalid(fmt::format("the Arrow type '{}' has {} children, not {}", Short(format),
                                       wanted, type.children.size()));
  }
  if (type.layout == Layout::kRunEnds) {
    const Type& ends = type.children[0].type;
    if (ends.dictionary || ends.extension ||
        (ends.format != "s" && ends.format != "i" && ends.format != "l")) {
      return Status::Invalid(fmt::format("run ends are of type '{}'", ends.Name()));
    }
  }
  if (format == "+m") {
    const Field& entries = type.children[0];
    if (entries.type.layout != Layout::kStruct || entries.type.dictionary ||
        entries.type.children.size() != 2) {
      return Status::Invalid(
          fmt::format("a map is made of '{}', not of pairs", entries.type.Name()));
    }
    if (entries.nullable || entries.type.children[0].nullable) {
      return Status::Invalid("the keys of a map may be null");
    }
  }
  return {};
}

size_t BufferCount(const Type& type) {
  switch (type.layout) {
    case Layout::kNull:
    case Layout::kRunEnds: return 0;
    case Layout::kStruct:
    case Layout::kFixedList:
    case Layout::kSparseUnion: return 1;
    case Layout::kBits:
    case Layout::kFixed:
    case Layout::kList:
    case Layout::kDenseUnion:
    case Layout::kBinaryView: return 2;
    case Layout::kBinary:
    case Layout::kListView: return 3;
  }
  return 0;
}

bool HasValidity(const Type& type) {
  return type.layout != Layout::kNull && type.layout != Layout::kRunEnds &&
         type.layout != Layout::kSparseUnion && type.layout != Layout::kDenseUnion;
}

Type PlainType(std::string format) {
  Type type;
  type.format = std::move(format);
  const Status status = ParseFormat(&type);
  VY_CHECK(status.ok() && type.children.empty());
  return type;
}

std::string ArrayTypeName(const Type& type) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"b", "BooleanArray"},
      {"n", "NullArray"},
      {"u", "BaseBinaryArray<arrow::StringArray>"},
      {"U", "BaseBinaryArray<arrow::LargeStringArray>"},
      {"z", "BaseBinaryArray<arrow::BinaryArray>"},
      {"Z", "BaseBinaryArray<arrow::LargeBinaryArray>"},
      {"+l", "ListArray"},
      {"+L", "LargeListArray"},
      {"c", "NumericArray<int8>"},
      {"C", "NumericArray<uint8>"},
      {"s", "NumericArray<int16>"},
      {"S", "NumericArray<uint16>"},
      {"i", "NumericArray<int32>"},
      {"I", "NumericArray<uint32>"},
      {"l", "NumericArray<int64>"},
      {"L", "NumericArray<uint64>"},
      {"e", "NumericArray<halffloat>"},
      {"f", "NumericArray<float>"},
      {"g", "NumericArray<double>"},
  };
  if (type.dictionary || type.extension) return "vineyard::ArrowArray";
  for (const auto& [format, name] : kNames) {
    if (format == type.format) return fmt::format("vineyard::{}", name);
  }
  return type.format.starts_with("w:") ? "vineyard::FixedSizeBinaryArray" : "vineyard::ArrowArray";
}

}  // namespace vineyard::types
