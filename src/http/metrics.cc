// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/metrics.h"

#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "http/answer.h"

namespace vineyard::http {

namespace {

struct MemoryState {
  std::string_view name;
  uint64_t MemoryFigures::* bytes;
};
constexpr std::array kMemoryStates = {
    MemoryState{"sealed", &MemoryFigures::sealed},
    MemoryState{"writing", &MemoryFigures::writing},
    MemoryState{"idle", &MemoryFigures::idle},
    MemoryState{"lingering", &MemoryFigures::lingering},
    MemoryState{"moving", &MemoryFigures::moving},
    MemoryState{"records", &MemoryFigures::records},
    MemoryState{"slack", &MemoryFigures::slack},
    MemoryState{"catalog", &MemoryFigures::catalog},
};

class Text {
 public:
  void Begin(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
    name_ = name;
  }
  /// `labels` without braces, values escaped.
  void Add(std::string_view labels, uint64_t value, std::string_view suffix = "") {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(out_), "{}{} {}\n", name_, suffix, value);
    } else {
      fmt::format_to(std::back_inserter(out_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
    }
  }
  void AddSeconds(std::string_view labels, double value, std::string_view suffix = "") {
    fmt::format_to(std::back_inserter(out_), "{}{}{}{}{} {}\n", name_, suffix,
                   labels.empty() ? "" : "{", labels, labels.empty() ? "" : "}", value);
  }
  void One(std::string_view name, std::string_view type, std::string_view help, uint64_t value) {
    Begin(name, type, help);
    Add("", value);
  }
  std::string Take() && { return std::move(out_); }

 private:
  std::string out_;
  std::string_view name_;
};

std::string VolumeLabel(const VolumeFigures& volume) {
  return fmt::format("volume=\"{}\"", EscapeLabel(volume.name));
}

void AddInstance(const Sample& sample, Text& text) {
  const Figures& figures = sample.figures;
  text.Begin("vineyard_build_info", "gauge", "The program that serves; always 1.");
  text.Add(fmt::format("version=\"{}\",deployment=\"{}\"", EscapeLabel(sample.status.version),
                       EscapeLabel(sample.status.deployment)),
           1);
  text.One("vineyard_engine_restarts_total", "counter",
           "Engines that followed the instance's first one.",
           figures.generation > 0 ? figures.generation - 1 : 0);
  text.Begin("vineyard_engine_uptime_seconds", "gauge", "How long the present engine has run.");
  text.AddSeconds("", std::chrono::duration<double>(figures.engine_for).count());
  text.One("vineyard_former_program", "gauge",
           "1 while a program that served before runs instead of the one that is installed.",
           sample.status.former_program ? 1 : 0);
  text.One("vineyard_memory_limit_bytes", "gauge", "What the instance may hold (--size).",
           figures.limit);
  const MemoryFigures total = TotalMemory(figures);
  text.Begin("vineyard_memory_bytes", "gauge",
             "Pages by what they hold; all states together are the limit.");
  for (const MemoryState& state : kMemoryStates) {
    text.Add(fmt::format("state=\"{}\"", state.name), total.*state.bytes);
  }
  text.Add("state=\"ready\"", figures.ready);
  text.Add("state=\"free\"", FreeMemory(figures));
  text.One("vineyard_disk_bytes", "gauge", "Files of all volumes on the disk.", figures.disk_bytes);
  text.One("vineyard_evictions_total", "counter", "Blobs that went to the disk.",
           figures.evictions);
  text.One("vineyard_loads_total", "counter", "Blobs that came back from the disk.", figures.loads);
  text.One("vineyard_damaged_blobs_total", "counter",
           "Blobs that could not be brought back from the disk.", figures.damaged);
  text.One("vineyard_not_on_disk_records", "gauge",
           "Durable records whose files are not yet what they should be.",
           sample.status.not_on_disk);
  text.Begin("vineyard_chunks_total", "counter",
             "Pieces of memory for large objects: made ahead of need, or when they were wanted.");
  text.Add("made=\"ahead\"", figures.chunks_ready);
  text.Add("made=\"wanted\"", figures.chunks_made);
  text.One("vineyard_engine_heap_bytes", "gauge",
           "What requests and answers under way take in the engine.", figures.heap_bytes);
  text.One("vineyard_engine_memory_files", "gauge", "Memory files that the engine has open.",
           figures.memory_files);
}

void AddVolumes(const Figures& figures, Text& text) {
  const auto each = [&](std::string_view name, std::string_view help,
                        uint64_t VolumeFigures::* field) {
    text.Begin(name, "gauge", help);
    for (const VolumeFigures& volume : figures.volumes)
      text.Add(VolumeLabel(volume), volume.*field);
  };
  text.Begin("vineyard_volume_memory_bytes", "gauge", "Pages of a volume by what they hold.");
  for (const VolumeFigures& volume : figures.volumes) {
    for (const MemoryState& state : kMemoryStates) {
      text.Add(fmt::format("{},state=\"{}\"", VolumeLabel(volume), state.name),
               volume.memory.*state.bytes);
    }
  }
  each("vineyard_volume_memory_limit_bytes", "What a volume may use.", &VolumeFigures::limit);
  each("vineyard_volume_memory_guaranteed_bytes", "What other volumes leave to it.",
       &VolumeFigures::guaranteed);
  each("vineyard_volume_spilled_bytes", "What lies on the disk only.", &VolumeFigures::spilled);
  each("vineyard_volume_kept_bytes", "What names keep in memory.", &VolumeFigures::kept_by_names);
  each("vineyard_objects", "Objects.", &VolumeFigures::objects);
  each("vineyard_blobs", "Blobs that lie by themselves.", &VolumeFigures::blobs);
  each("vineyard_names", "Names.", &VolumeFigures::names);
  each("vineyard_leases", "Names, and objects without one, that live with a client.",
       &VolumeFigures::leases);
  each("vineyard_connections", "Connections of clients.", &VolumeFigures::connections);
  each("vineyard_waiting_requests", "Requests that wait for memory, the disk, a name or a stream.",
       &VolumeFigures::waiting);
  text.Begin("vineyard_refusals_total", "counter", "Requests refused, by what there was not.");
  for (const VolumeFigures& volume : figures.volumes) {
    for (const auto& [reason, count] :
         {std::pair("memory", volume.refused_memory), std::pair("access", volume.refused_access),
          std::pair("time", volume.late)}) {
      text.Add(fmt::format("{},reason=\"{}\"", VolumeLabel(volume), reason), count);
    }
  }
}

// Calls what = (labels, figures) for each kind of request of each volume.
void EachRequest(const Figures& figures,
                 const std::function<void(const std::string&, const RequestFigures&)>& what) {
  for (const VolumeFigures& volume : figures.volumes) {
    for (const RequestFigures& request : volume.requests) {
      if (request.answered == 0) continue;
      what(fmt::format("{},request=\"{}\"", VolumeLabel(volume), EscapeLabel(request.kind)),
           request);
    }
  }
}

void AddRequests(const Figures& figures, Text& text) {
  text.Begin("vineyard_failed_requests_total", "counter",
             "Requests that were answered by an error.");
  EachRequest(figures, [&](const std::string& labels, const RequestFigures& request) {
    text.Add(labels, request.failed);
  });
  text.Begin("vineyard_request_duration_seconds", "histogram",
             "From when the engine read a request until it answered, waits included.");
  EachRequest(figures, [&](const std::string& labels, const RequestFigures& request) {
    uint64_t below = 0;
    for (size_t i = 0; i + 1 < RequestFigures::kBuckets; ++i) {
      below += request.buckets[i];
      text.Add(fmt::format("{},le=\"{}\"", labels, static_cast<double>(uint64_t{1} << i) / 1e6),
               below, "_bucket");
    }
    text.Add(labels + ",le=\"+Inf\"", below + request.buckets.back(), "_bucket");
    text.AddSeconds(labels, std::chrono::duration<double>(request.total).count(), "_sum");
    text.Add(labels, below + request.buckets.back(), "_count");
  });
}

}  // namespace

std::string EscapeLabel(std::string_view text) {
  // There and back again makes UTF-8 of anything.
  const std::string valid = nlohmann::json::parse(JsonString(text)).get<std::string>();
  std::string out;
  out.reserve(valid.size());
  for (const char c : valid) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string MetricsText(const Sample* sample) {
  Text text;
  text.One("vineyard_up", "gauge", "1 while the instance answers.", sample != nullptr ? 1 : 0);
  if (sample == nullptr) return std::move(text).Take();
  AddInstance(*sample, text);
  AddVolumes(sample->figures, text);
  AddRequests(sample->figures, text);
  // v6d's one metric, under its old name.
  text.Begin("instances_memory_usage_bytes", "gauge", "Memory in use by the volume 'default'.");
  text.Add(fmt::format("user=\"{}\"", EscapeLabel(sample->status.deployment)),
           sample->status.memory_usage);
  return std::move(text).Take();
}

}  // namespace vineyard::http
