// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The plain descriptions that calls give back.
#include <string>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

nb::list Buffers(const ObjectInfo& info) {
  nb::list list;
  for (const BufferRef& b : info.buffers) list.append(nb::make_tuple(b.blob, b.offset, b.length));
  return list;
}

nb::dict Members(const ObjectInfo& info) {
  nb::dict dict;
  for (const Member& member : info.members) dict[ToStr(member.key)] = member.id;
  return dict;
}

nb::dict Labels(const ObjectInfo& info) {
  nb::dict dict;
  for (const Label& label : info.labels) dict[ToStr(label.key)] = ToStr(label.value);
  return dict;
}

std::string Quoted(const std::string& text) { return nb::cast<std::string>(nb::repr(ToStr(text))); }

}  // namespace

void BindInfos(nb::module_& m) {
  nb::class_<ObjectInfo>(m, "ObjectInfo")
      .def_ro("id", &ObjectInfo::id)
      .def_prop_ro("typename", [](const ObjectInfo& self) { return ToStr(self.type_name); })
      .def_prop_ro("metadata", [](const ObjectInfo& self) { return ToStr(self.metadata); })
      .def_prop_ro("buffers", &Buffers)
      .def_prop_ro("members", &Members)
      .def_prop_ro("labels", &Labels)
      .def_ro("created_unix_ns", &ObjectInfo::created_unix_ns)
      .def_prop_ro("creator_pid", [](const ObjectInfo& self) { return self.creator.pid; })
      .def_prop_ro("creator_uid", [](const ObjectInfo& self) { return self.creator.uid; })
      .def_prop_ro("creator_pod", [](const ObjectInfo& self) { return ToStr(self.creator.pod); })
      .def_prop_ro("creator_program",
                   [](const ObjectInfo& self) { return ToStr(self.creator.program); })
      .def_ro("nbytes", &ObjectInfo::nbytes)
      .def("__repr__", [](const ObjectInfo& self) {
        return "ObjectInfo(id=" + self.id.ToString() + ", typename=" + Quoted(self.type_name) +
               ", nbytes=" + std::to_string(self.nbytes) + ")";
      });

  nb::class_<NameInfo>(m, "NameInfo")
      .def_prop_ro("name", [](const NameInfo& self) { return ToStr(self.name); })
      .def_ro("id", &NameInfo::id)
      .def_ro("version", &NameInfo::version)
      .def_prop_ro("ttl",
                   [](const NameInfo& self) -> std::optional<double> {
                     if (!self.ttl) return std::nullopt;
                     return std::chrono::duration<double>(*self.ttl).count();
                   })
      .def_prop_ro("linger",
                   [](const NameInfo& self) -> std::optional<double> {
                     if (!self.linger) return std::nullopt;
                     return std::chrono::duration<double>(*self.linger).count();
                   })
      .def_ro("client_pid", &NameInfo::client_pid)
      .def_ro("durable", &NameInfo::durable)
      .def_ro("keep", &NameInfo::keep)
      .def("__repr__", [](const NameInfo& self) {
        return "NameInfo(name=" + Quoted(self.name) + ", id=" + self.id.ToString() +
               ", version=" + std::to_string(self.version) + ")";
      });

  nb::class_<VolumeInfo>(m, "VolumeInfo")
      .def_prop_ro("name", [](const VolumeInfo& self) { return ToStr(self.name); })
      .def_prop_ro("socket", [](const VolumeInfo& self) { return ToStr(self.socket); })
      .def_prop_ro("read_only_socket",
                   [](const VolumeInfo& self) { return ToStr(self.read_only_socket); })
      .def_ro("quota", &VolumeInfo::quota)
      .def_ro("guaranteed", &VolumeInfo::guaranteed)
      .def_ro("memory_held", &VolumeInfo::memory_held)
      .def_ro("memory_usage", &VolumeInfo::memory_usage)
      .def_ro("objects", &VolumeInfo::objects)
      .def_ro("names", &VolumeInfo::names)
      .def_ro("connections", &VolumeInfo::connections)
      .def_ro("durable", &VolumeInfo::durable)
      .def("__repr__", [](const VolumeInfo& self) {
        return "VolumeInfo(name=" + Quoted(self.name) + ", socket=" + Quoted(self.socket) +
               ", quota=" + std::to_string(self.quota) +
               ", memory_usage=" + std::to_string(self.memory_usage) +
               ", objects=" + std::to_string(self.objects) + ")";
      });

  nb::class_<Places>(m, "Places")
      .def_ro("memory_bytes", &Places::memory_bytes)
      .def_ro("spilled_bytes", &Places::spilled_bytes)
      .def_ro("in_use", &Places::in_use)
      .def_ro("pinned", &Places::pinned)
      .def_ro("durable", &Places::durable)
      .def_ro("kept", &Places::kept)
      .def_prop_ro("holders",
                   [](const Places& self) {
                     nb::list list;
                     for (const ClientInfo& holder : self.holders) list.append(FromClient(holder));
                     return list;
                   })
      .def("__repr__", [](const Places& self) {
        return "Places(memory_bytes=" + std::to_string(self.memory_bytes) +
               ", spilled_bytes=" + std::to_string(self.spilled_bytes) +
               ", in_use=" + (self.in_use ? "True" : "False") +
               ", pinned=" + (self.pinned ? "True" : "False") + ")";
      });

  nb::class_<InstanceStatus>(m, "InstanceStatus")
      .def_ro("instance_uuid", &InstanceStatus::instance_uuid)
      .def_ro("instance_id", &InstanceStatus::instance_id)
      .def_ro("version", &InstanceStatus::version)
      .def_ro("deployment", &InstanceStatus::deployment)
      .def_ro("volume", &InstanceStatus::volume)
      .def_ro("read_only", &InstanceStatus::read_only)
      .def_ro("generation", &InstanceStatus::generation)
      .def_ro("former_program", &InstanceStatus::former_program)
      .def_ro("on_probation", &InstanceStatus::on_probation)
      .def_ro("memory_usage", &InstanceStatus::memory_usage)
      .def_ro("memory_limit", &InstanceStatus::memory_limit)
      .def_ro("memory_held", &InstanceStatus::memory_held)
      .def_ro("memory_lingering", &InstanceStatus::memory_lingering)
      .def_ro("memory_overhead", &InstanceStatus::memory_overhead)
      .def_ro("memory_ready", &InstanceStatus::memory_ready)
      .def_ro("instance_limit", &InstanceStatus::instance_limit)
      .def_ro("objects", &InstanceStatus::objects)
      .def_ro("blobs", &InstanceStatus::blobs)
      .def_ro("names", &InstanceStatus::names)
      .def_ro("leases", &InstanceStatus::leases)
      .def_ro("connections", &InstanceStatus::connections)
      .def_ro("ipc_connections", &InstanceStatus::connections)
      .def_prop_ro("rpc_connections", [](const InstanceStatus&) { return 0; })
      .def_ro("spilled_bytes", &InstanceStatus::spilled_bytes)
      .def_ro("spilled_blobs", &InstanceStatus::spilled_blobs)
      .def_ro("disk_bytes", &InstanceStatus::disk_bytes)
      .def_ro("loads", &InstanceStatus::loads)
      .def_ro("evictions", &InstanceStatus::evictions)
      .def_ro("damaged", &InstanceStatus::damaged)
      .def_ro("memory_guaranteed", &InstanceStatus::memory_guaranteed)
      .def_ro("memory_kept", &InstanceStatus::memory_kept)
      .def_ro("not_on_disk", &InstanceStatus::not_on_disk)
      .def_ro("set_aside", &InstanceStatus::set_aside)
      .def_ro("not_restored", &InstanceStatus::not_restored)
      .def_ro("kept_by_names", &InstanceStatus::kept_by_names)
      .def_ro("waiting", &InstanceStatus::waiting)
      .def_ro("deferred_requests", &InstanceStatus::waiting)
      .def("__repr__", [](const InstanceStatus& self) {
        return "InstanceStatus(volume=" + Quoted(self.volume) +
               ", memory_usage=" + std::to_string(self.memory_usage) +
               ", memory_limit=" + std::to_string(self.memory_limit) +
               ", objects=" + std::to_string(self.objects) +
               ", names=" + std::to_string(self.names) +
               ", connections=" + std::to_string(self.connections) + ")";
      });
}

}  // namespace vineyard::python
