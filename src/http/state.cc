// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <nlohmann/json.hpp>

#include "http/answer.h"
#include "http/sampler.h"

namespace vineyard::http {

namespace {

using nlohmann::json;

json VolumeJson(const VolumeFigures& volume, const Sample& sample) {
  const auto known = sample.volumes.find(volume.name);
  return {{"name", volume.name},
          {"quota", known == sample.volumes.end() ? json() : json(known->second.quota)},
          {"limit", volume.limit},
          {"guaranteed", volume.guaranteed},
          {"objects", volume.objects},
          {"names", volume.names},
          {"connections", volume.connections},
          {"waiting", volume.waiting},
          {"memory",
           {{"sealed", volume.memory.sealed},
            {"writing", volume.memory.writing},
            {"lingering", volume.memory.lingering},
            {"idle", volume.memory.idle},
            {"moving", volume.memory.moving},
            {"records", volume.memory.records},
            {"slack", volume.memory.slack},
            {"catalog", volume.memory.catalog}}},
          {"spilled", volume.spilled},
          {"kept_by_names", volume.kept_by_names},
          {"durable", volume.durable}};
}

}  // namespace

std::string StateJson(const Sample& sample, const std::string& socket, uint64_t objects_version) {
  const Figures& figures = sample.figures;
  json volumes = json::array();
  for (const VolumeFigures& volume : figures.volumes) volumes.push_back(VolumeJson(volume, sample));
  const json state = {{"time", sample.unix_ms},
                      {"instance",
                       {{"version", sample.status.version},
                        {"uuid", sample.status.instance_uuid},
                        {"generation", figures.generation},
                        {"deployment", sample.status.deployment},
                        {"socket", socket},
                        {"started", sample.unix_ms - figures.engine_for.count()},
                        {"former_program", sample.status.former_program}}},
                      {"memory",
                       {{"limit", figures.limit},
                        {"held", figures.held},
                        {"ready", figures.ready},
                        {"lingering", TotalMemory(figures).lingering},
                        {"free", FreeMemory(figures)}}},
                      {"volumes", volumes},
                      {"disk",
                       {{"bytes", figures.disk_bytes},
                        {"loads", figures.loads},
                        {"evictions", figures.evictions},
                        {"damaged", figures.damaged}}},
                      {"objects_version", objects_version}};
  return state.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace vineyard::http
