// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/object_text.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "cli/escape.h"
#include "cli/session.h"
#include "cli/table.h"

namespace vineyard::cli {

namespace {

// How deep brackets nest, outside of strings.
size_t Depth(std::string_view json) {
  size_t depth = 0;
  size_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

std::string Indented(std::string_view text) {
  std::string out = "  ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out + "\n";
}

std::string CreatorText(const Creator& creator) {
  std::string text = fmt::format("pid {}, uid {}", creator.pid, creator.uid);
  if (!creator.program.empty()) text = creator.program + ", " + text;
  if (!creator.pod.empty()) text += ", pod " + creator.pod;
  return text;
}

}  // namespace

nlohmann::json MetadataJson(std::string_view text) {
  constexpr size_t kDeepest = 200;  // writing a document takes stack for each level
  if (Depth(text) > kDeepest) return std::string(text);
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return std::string(text);
  return document;
}

nlohmann::json ObjectJson(const ObjectInfo& info) {
  nlohmann::json labels = nlohmann::json::object();
  for (const Label& label : info.labels) labels[label.key] = label.value;
  nlohmann::json buffers = nlohmann::json::array();
  for (const BufferRef& buffer : info.buffers) {
    buffers.push_back(
        {{"blob", buffer.blob.ToString()}, {"offset", buffer.offset}, {"length", buffer.length}});
  }
  nlohmann::json members = nlohmann::json::array();
  for (const Member& member : info.members) {
    members.push_back({{"key", member.key}, {"id", member.id.ToString()}});
  }
  nlohmann::json created;  // null, as for a blob, where it is not known
  nlohmann::json creator;
  if (info.created_unix_ns != 0) {
    created = FormatTime(info.created_unix_ns);
    creator = {{"pid", info.creator.pid},
               {"uid", info.creator.uid},
               {"pod", info.creator.pod},
               {"program", info.creator.program}};
  }
  return {{"id", info.id.ToString()},
          {"type_name", info.type_name},
          {"nbytes", info.nbytes},
          {"created", std::move(created)},
          {"created_unix_ns", info.created_unix_ns},
          {"creator", std::move(creator)},
          {"metadata", MetadataJson(info.metadata)},
          {"labels", std::move(labels)},
          {"buffers", std::move(buffers)},
          {"members", std::move(members)}};
}

std::string ObjectText(const ObjectInfo& info, int64_t now_unix_ns) {
  Sheet sheet;
  sheet.Add("id", info.id.ToString());
  sheet.Add("type", info.type_name);
  sheet.Add("size", FormatBytesExactly(info.nbytes));
  if (info.created_unix_ns != 0) {
    sheet.Add("age", FormatAge(std::chrono::nanoseconds(now_unix_ns - info.created_unix_ns)));
    sheet.Add("created", FormatTime(info.created_unix_ns));
    sheet.Add("creator", CreatorText(info.creator));
  }
  for (const Label& label : info.labels) sheet.Add("label", label.key + "=" + label.value);
  std::string text = sheet.ToString();

  const nlohmann::json metadata = MetadataJson(info.metadata);
  const bool readable = !metadata.is_string();
  if (info.metadata != "{}") {
    text += "\nmetadata:\n";
    text += Indented(readable ? JsonText(metadata) : EscapeForTerminal(info.metadata));
  }
  if (!info.buffers.empty()) {
    Table table({{"BLOB"}, {"OFFSET", Align::kRight}, {"SIZE", Align::kRight}});
    for (const BufferRef& buffer : info.buffers) {
      table.AddRow(
          {buffer.blob.ToString(), fmt::to_string(buffer.offset), FormatBytes(buffer.length)});
    }
    text += "\nbuffers:\n" + table.ToString(2);
  }
  if (!info.members.empty()) {
    Table table({{"KEY"}, {"ID"}});
    for (const Member& member : info.members) table.AddRow({member.key, member.id.ToString()});
    text += "\nmembers:\n" + table.ToString(2);
  }
  return text;
}

int64_t UnixNow() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace vineyard::cli
