// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Keys are the names of vineyard/figures.py's fields; times are seconds.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "py_client.h"

namespace vineyard::python {
namespace {

template <typename Duration>
double InSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

nb::list Texts(const std::vector<std::string>& texts) {
  nb::list list;
  for (const std::string& text : texts) list.append(ToStr(text));
  return list;
}

template <typename T, typename Convert>
nb::list Each(const std::vector<T>& items, Convert convert) {
  nb::list list;
  for (const T& item : items) list.append(convert(item));
  return list;
}

nb::dict FromWait(const WaitInfo& wait) {
  nb::dict d;
  d["kind"] = ToStr(WaitKindName(wait.kind));
  d["request"] = ToStr(wait.request);
  d["volume"] = ToStr(wait.volume);
  d["client"] = wait.client;
  d["pid"] = wait.pid;
  d["request_id"] = wait.request_id;
  d["name"] = ToStr(wait.name);
  d["object"] = wait.object;
  d["nbytes"] = wait.bytes;
  d["since"] = InSeconds(wait.since);
  d["left"] = InSeconds(wait.left);
  return d;
}

nb::dict FromMemory(const MemoryFigures& memory) {
  nb::dict d;
  d["sealed"] = memory.sealed;
  d["writing"] = memory.writing;
  d["idle"] = memory.idle;
  d["lingering"] = memory.lingering;
  d["moving"] = memory.moving;
  d["records"] = memory.records;
  d["slack"] = memory.slack;
  d["catalog"] = memory.catalog;
  return d;
}

nb::dict FromRequests(const RequestFigures& requests) {
  nb::dict d;
  d["kind"] = ToStr(requests.kind);
  d["answered"] = requests.answered;
  d["failed"] = requests.failed;
  d["total"] = InSeconds(requests.total);
  d["buckets"] = nb::tuple(Each(std::vector(requests.buckets.begin(), requests.buckets.end()),
                                [](uint64_t n) { return n; }));
  return d;
}

nb::dict FromVolume(const VolumeFigures& volume) {
  nb::dict d;
  d["name"] = ToStr(volume.name);
  d["memory"] = FromMemory(volume.memory);
  d["held"] = volume.held;
  d["limit"] = volume.limit;
  d["guaranteed"] = volume.guaranteed;
  d["spilled"] = volume.spilled;
  d["kept_by_names"] = volume.kept_by_names;
  d["objects"] = volume.objects;
  d["blobs"] = volume.blobs;
  d["names"] = volume.names;
  d["leases"] = volume.leases;
  d["connections"] = volume.connections;
  d["waiting"] = volume.waiting;
  d["requests"] = Each(volume.requests, FromRequests);
  d["refused_memory"] = volume.refused_memory;
  d["refused_access"] = volume.refused_access;
  d["late"] = volume.late;
  d["changes"] = volume.changes;
  d["durable"] = volume.durable;
  return d;
}

nb::dict FromFigures(const Figures& figures) {
  nb::dict d;
  d["volumes"] = Each(figures.volumes, FromVolume);
  d["limit"] = figures.limit;
  d["held"] = figures.held;
  d["ready"] = figures.ready;
  d["chunks_ready"] = figures.chunks_ready;
  d["chunks_made"] = figures.chunks_made;
  d["disk_bytes"] = figures.disk_bytes;
  d["loads"] = figures.loads;
  d["evictions"] = figures.evictions;
  d["damaged"] = figures.damaged;
  d["engine_for"] = InSeconds(figures.engine_for);
  d["generation"] = figures.generation;
  d["heap_bytes"] = figures.heap_bytes;
  d["memory_files"] = figures.memory_files;
  return d;
}

nb::dict FromTraced(const TracedRequest& request) {
  nb::dict d;
  d["sequence"] = request.sequence;
  d["request_id"] = request.request_id;
  d["client"] = request.client;
  d["pid"] = request.pid;
  d["kind"] = ToStr(request.kind);
  d["volume"] = ToStr(request.volume);
  d["nbytes"] = request.bytes;
  d["begun_unix_ns"] = request.begun_unix_ns;
  d["took"] = InSeconds(request.took);
  d["waited"] = InSeconds(request.waited);
  d["status"] = ToStr(StatusCodeName(request.code));
  return d;
}

nb::dict FromTrace(const TracePage& page) {
  nb::dict d;
  d["requests"] = Each(page.requests, FromTraced);
  d["last"] = page.last;
  d["missed"] = page.missed;
  d["more"] = page.more;
  return d;
}

nb::dict FromExplanation(Explanation&& found) {
  nb::dict d;
  d["id"] = found.info.id;
  d["typename"] = ToStr(found.info.type_name);
  d["names"] = Each(found.names, [](const NameInfo& name) { return ToStr(name.name); });
  d["referrers"] = Each(found.referrers, [](const ObjectInfo& info) { return nb::cast(info.id); });
  d["memory_bytes"] = found.places.memory_bytes;
  d["spilled_bytes"] = found.places.spilled_bytes;
  d["holders"] = Each(found.places.holders, FromClient);
  d["evictable"] = found.evictable;
  d["reasons"] = Texts(found.reasons);
  d["advice"] = Texts(found.advice);
  return d;
}

struct Listed {
  Survey survey;
  std::vector<NameInfo> names;
};

Result<Listed> ListAll(Client& client, std::optional<Timeout> timeout) {
  Listed listed;
  VY_ASSIGN_OR_RETURN(listed.survey, client.TakeSurvey({.timeout = timeout}));
  VY_ASSIGN_OR_RETURN(listed.names, client.ListNames({.timeout = timeout}));
  return listed;
}

/// (ObjectInfo, as far as lists tell of it; bytes with all parts; names)
nb::list FromListed(Listed&& listed) {
  std::unordered_map<ObjectId, std::vector<std::string>> names;
  for (NameInfo& name : listed.names) names[name.id].push_back(std::move(name.name));
  nb::list list;
  for (const Survey::Object& object : listed.survey.objects) {
    ObjectInfo info;
    info.id = object.id;
    info.type_name = listed.survey.types[object.type];
    info.created_unix_ns = object.created_unix_ns;
    info.creator = listed.survey.creators[object.creator];
    info.nbytes = object.bytes.value_or(0);
    const auto of_it = names.find(object.id);
    list.append(nb::make_tuple(nb::cast(std::move(info)), object.bytes.value_or(0),
                               of_it == names.end() ? nb::list() : Texts(of_it->second)));
  }
  return list;
}

/// What the instance answers. A timeout that is none is refused while this thread may still raise.
template <typename Question>
auto Ask(Seconds timeout, Question question) {
  const CallOptions options{ToTimeout(timeout)};
  return Unwrap(Unlocked([&] { return question(options); }));
}

}  // namespace

nb::dict FromClient(const ClientInfo& client) {
  nb::dict d;
  d["number"] = client.number;
  d["volume"] = ToStr(client.volume);
  d["pid"] = client.pid;
  d["uid"] = client.uid;
  d["program"] = ToStr(client.program);
  d["pod"] = ToStr(client.pod);
  d["connected"] = client.connected;
  d["read_only"] = client.read_only;
  d["known_for"] = InSeconds(client.known_for);
  d["mapped_bytes"] = client.mapped_bytes;
  d["mapped_blobs"] = client.mapped_blobs;
  d["writing_bytes"] = client.writing_bytes;
  d["idle_bytes"] = client.idle_bytes;
  d["pinned_bytes"] = client.pinned_bytes;
  d["waiting"] = client.waiting;
  d["requests"] = client.requests;
  return d;
}

void BindSeeing(nb::class_<PyClient>& c) {
  c.def(
       "figures",
       [](PyClient& self, bool all, Seconds timeout) {
         return FromFigures(Ask(
             timeout, [&](const auto& options) { return self.client->GetFigures(all, options); }));
       },
       nb::arg("all") = false, nb::arg("timeout") = nb::none())
      .def(
          "list_clients",
          [](PyClient& self, bool all, Seconds timeout) {
            return Each(
                Ask(timeout,
                    [&](const auto& options) { return self.client->ListClients(all, options); }),
                FromClient);
          },
          nb::arg("all") = false, nb::arg("timeout") = nb::none())
      .def(
          "list_waits",
          [](PyClient& self, bool all, Seconds timeout) {
            return Each(
                Ask(timeout,
                    [&](const auto& options) { return self.client->ListWaits(all, options); }),
                FromWait);
          },
          nb::arg("all") = false, nb::arg("timeout") = nb::none())
      .def(
          "trace",
          [](PyClient& self, uint64_t after, bool all, Seconds timeout) {
            return FromTrace(Ask(timeout, [&](const auto& options) {
              return self.client->GetTrace(after, all, options);
            }));
          },
          nb::arg("after") = 0, nb::arg("all") = false, nb::arg("timeout") = nb::none())
      .def(
          "why",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            return FromExplanation(Ask(
                timeout, [&](const auto& options) { return self.client->Explain(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none())
      .def(
          "survey",
          [](PyClient& self, Seconds timeout) {
            return FromListed(Ask(timeout, [&](const auto& options) {
              return ListAll(*self.client, options.timeout);
            }));
          },
          nb::arg("timeout") = nb::none());
}

}  // namespace vineyard::python
