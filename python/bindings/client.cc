// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <deque>
#include <memory>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "py_client.h"

namespace vineyard::python {
namespace {

using Version = std::optional<uint64_t>;

/// Copies up to this size come as `bytes`: cheaper than an object that keeps a copy alive.
constexpr size_t kSmall = 4096;

nb::object ToBuffer(const Blob& blob) {
  if (!blob.zero_copy() && blob.size() <= kSmall) {
    return nb::bytes(blob.data(), blob.size());
  }
  return nb::cast(blob);
}

/// (typename, metadata, buffers, members or None, id)
nb::tuple ToParts(const Object& object) {
  const std::vector<Blob>& blobs = object.buffers();
  nb::object buffers = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(blobs.size())));
  for (size_t i = 0; i < blobs.size(); ++i) {
    PyTuple_SET_ITEM(buffers.ptr(), static_cast<Py_ssize_t>(i), ToBuffer(blobs[i]).release().ptr());
  }
  nb::object members = nb::none();
  if (!object.info().members.empty()) {
    nb::dict dict;
    for (const Member& member : object.info().members) dict[ToStr(member.key)] = member.id;
    members = std::move(dict);
  }
  return nb::make_tuple(ToStr(object.type_name()), ToStr(object.metadata()), std::move(buffers),
                        std::move(members), object.id());
}

Durability ToDurability(const std::optional<std::string>& text) {
  if (!text || *text == "memory") return Durability::kMemory;
  if (*text == "disk") return Durability::kDisk;
  Check(Status::Invalid("durability='" + *text + "' is none; say 'memory' or 'disk'"));
  return Durability::kMemory;
}

ObjectId Put(PyClient& self, std::string type_name, std::string metadata, nb::handle buffers,
             nb::handle members, nb::handle labels, Seconds timeout,
             std::optional<std::string> name, Version if_version, Seconds ttl, Seconds linger,
             std::optional<bool> copy, nb::handle progress,
             const std::optional<std::string>& durability, bool keep) {
  std::vector<BufferView> views;
  const ObjectBuilder builder =
      MakeBuilder({std::move(type_name), std::move(metadata), buffers, members, labels}, views);
  PutOptions options;
  options.timeout = ToTimeout(timeout);
  options.name = std::move(name).value_or("");
  options.if_version = if_version;
  options.progress = ToProgress(progress);
  options.ttl = ToTimeout(ttl);
  options.linger = ToTimeout(linger);
  options.copying = ToCopying(copy);
  options.durability = ToDurability(durability);
  options.keep = keep;
  return Unwrap(Unlocked([&] { return self.client->Put(builder, options); }));
}

/// A list of what `one` makes of each value, and of the exceptions that stand for errors.
template <typename T, typename Convert>
nb::list ToEach(std::vector<Result<T>>&& results, Convert one) {
  nb::list list;
  for (Result<T>& result : results) {
    list.append(result.ok() ? one(*result) : ToException(result.status()));
  }
  return list;
}

/// `parts`: gives (typename, metadata, buffers, members, name or "") of each. It is asked for the next while the
/// instance stores the last ones; what it raises ends the list.
nb::list PutMany(PyClient& self, nb::handle parts, Seconds timeout) {
  constexpr size_t kAtOnce = 32;  // between two times that other threads of Python may run
  PutPipeline puts = self.client->StartPuts({ToTimeout(timeout)});
  std::deque<ObjectBuilder> builders;
  std::vector<BufferView> views;
  std::vector<std::string> names;
  const auto send = [&] {
    Unlocked([&] {
      const size_t first = builders.size() - names.size();
      for (size_t i = 0; i < names.size(); ++i) puts.Add(builders[first + i], std::move(names[i]));
    });
    names.clear();
  };
  nb::object raised;
  try {
    for (nb::handle item : parts) {
      auto [type_name, metadata, buffers, members, name] =
          nb::cast<std::tuple<std::string, std::string, nb::handle, nb::handle, std::string>>(item);
      builders.push_back(MakeBuilder(
          {std::move(type_name), std::move(metadata), buffers, members, nb::none()}, views));
      names.push_back(std::move(name));
      if (names.size() == kAtOnce) send();
    }
  } catch (const nb::python_error& error) {
    raised = nb::borrow(error.value());
  } catch (const std::exception& error) {  // what was put so far must be known
    raised = nb::steal(PyObject_CallFunction(PyExc_TypeError, "s", error.what()));
  }
  send();
  nb::list list =
      ToEach(Unlocked([&] { return puts.Finish(); }), [](ObjectId id) { return nb::cast(id); });
  if (raised.is_valid()) list.append(raised);
  return list;
}

nb::list GetMany(PyClient& self, const std::vector<ObjectId>& ids, Seconds timeout) {
  GetOptions options;
  options.timeout = ToTimeout(timeout);
  return ToEach(Unlocked([&] { return self.client->GetMany(ids, options); }),
                [](const Object& object) { return nb::object(ToParts(object)); });
}

/// `key`: an ObjectID, or a name.
Result<Object> GetObject(PyClient& self, nb::handle key, bool wait, bool map_buffers,
                         Seconds timeout) {
  GetOptions options;
  options.wait = wait;
  options.map_buffers = map_buffers;
  options.timeout = ToTimeout(timeout);
  if (!nb::isinstance<nb::str>(key)) {
    const auto id = nb::cast<ObjectId>(key);
    return Unlocked([&] { return self.client->Get(id, options); });
  }
  const auto name = nb::cast<std::string>(key);
  return Unlocked([&] { return self.client->Get(name, options); });
}

nb::tuple Get(PyClient& self, nb::handle key, bool wait, Seconds timeout) {
  return ToParts(Unwrap(GetObject(self, key, wait, true, timeout)));
}

ObjectInfo GetInfo(PyClient& self, nb::handle key, bool wait, Seconds timeout) {
  return Unwrap(GetObject(self, key, wait, false, timeout)).info();
}

NameInfo GetName(PyClient& self, std::string name, bool wait, Seconds timeout) {
  GetOptions options;
  options.wait = wait;
  options.timeout = ToTimeout(timeout);
  return Unwrap(Unlocked([&] { return self.client->GetName(name, options); }));
}

void Connect(PyClient* self, std::string socket, double timeout, double wait_for_instance) {
  ConnectOptions options;
  options.socket = std::move(socket);
  options.timeout = *ToTimeout(timeout);
  options.wait_for_instance = *ToTimeout(wait_for_instance);
  options.interrupted = Interrupted;
  new (self) PyClient{Unwrap(Unlocked([&] { return Client::Connect(options); })), options.timeout};
}

template <typename T>
nb::list ToList(std::vector<T>&& items) {
  nb::list list;
  for (T& item : items) list.append(nb::cast(std::move(item)));
  return list;
}

void BindObjects(nb::class_<PyClient>& c) {
  c.def("put", &Put, nb::arg("typename"), nb::arg("metadata"), nb::arg("buffers"),
        nb::arg("members") = nb::none(), nb::arg("labels") = nb::none(),
        nb::arg("timeout") = nb::none(), nb::arg("name") = nb::none(),
        nb::arg("if_version") = nb::none(), nb::arg("ttl") = nb::none(),
        nb::arg("linger") = nb::none(), nb::arg("copy") = nb::none(),
        nb::arg("progress") = nb::none(), nb::arg("durability") = nb::none(),
        nb::arg("keep") = false)
      .def("get", &Get, nb::arg("key"), nb::arg("wait") = false, nb::arg("timeout") = nb::none())
      .def("put_many", &PutMany, nb::arg("parts"), nb::arg("timeout") = nb::none())
      .def("get_many", &GetMany, nb::arg("ids"), nb::arg("timeout") = nb::none())
      .def("get_info", &GetInfo, nb::arg("key"), nb::arg("wait") = false,
           nb::arg("timeout") = nb::none())
      .def(
          "exists",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            return Unwrap(Unlocked([&] { return self.client->Exists(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none())
      .def(
          "delete",
          [](PyClient& self, const std::vector<ObjectId>& ids, bool force, bool deep,
             Seconds timeout) {
            DeleteOptions options{ToTimeout(timeout), deep, force};
            return Unwrap(Unlocked([&] { return self.client->Delete(ids, options); }));
          },
          nb::arg("ids"), nb::arg("force") = false, nb::arg("deep") = true,
          nb::arg("timeout") = nb::none())
      .def(
          "list",
          [](PyClient& self, std::string pattern, bool regex, std::optional<size_t> limit,
             bool include_parts, Seconds timeout) {
            ListOptions options{ToTimeout(timeout), std::move(pattern), regex,
                                limit.value_or(SIZE_MAX), include_parts};
            return ToList(Unwrap(Unlocked([&] { return self.client->List(options); })));
          },
          nb::arg("pattern") = "*", nb::arg("regex") = false, nb::arg("limit") = nb::none(),
          nb::arg("include_parts") = false, nb::arg("timeout") = nb::none())
      .def(
          "set_labels",
          [](PyClient& self, ObjectId id, nb::dict labels, Seconds timeout) {
            std::vector<Label> made;
            for (auto [key, value] : labels) {
              made.push_back({nb::cast<std::string>(key), nb::cast<std::string>(value)});
            }
            CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->SetLabels(id, made, options); }));
          },
          nb::arg("id"), nb::arg("labels"), nb::arg("timeout") = nb::none());
}

void BindPlaces(nb::class_<PyClient>& c) {
  c.def(
       "load",
       [](PyClient& self, const std::vector<ObjectId>& ids, bool pin, Seconds timeout, bool wait) {
         LoadOptions options{ToTimeout(timeout), pin, wait};
         Check(Unlocked([&] { return self.client->Load(ids, options); }));
       },
       nb::arg("ids"), nb::arg("pin") = false, nb::arg("timeout") = nb::none(),
       nb::arg("wait") = true)
      .def(
          "unpin",
          [](PyClient& self, const std::vector<ObjectId>& ids, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->Unpin(ids, options); }));
          },
          nb::arg("ids"), nb::arg("timeout") = nb::none())
      .def(
          "evict",
          [](PyClient& self, const std::vector<ObjectId>& ids, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->Evict(ids, options); }));
          },
          nb::arg("ids"), nb::arg("timeout") = nb::none())
      .def(
          "make_durable",
          [](PyClient& self, const std::vector<ObjectId>& ids, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->MakeDurable(ids, options); }));
          },
          nb::arg("ids"), nb::arg("timeout") = nb::none())
      .def(
          "places",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            return Unwrap(Unlocked([&] { return self.client->GetPlaces(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none());
}

void BindMemory(nb::class_<PyClient>& c) {
  c.def(
       "allocate",
       [](PyClient& self, uint64_t size, Seconds timeout) {
         CallOptions options{ToTimeout(timeout)};
         return ToMemory(Unwrap(Unlocked([&] { return self.client->Allocate(size, options); })));
       },
       nb::arg("size"), nb::arg("timeout") = nb::none())
      .def(
          "make_allocator",
          [](PyClient& self, uint64_t threshold, uint64_t limit) {
            const AllocatorOptions options{threshold, limit, /*without_huge_pages=*/true};
            return Unwrap(Unlocked([&] { return self.client->MakeAllocator(options); }));
          },
          nb::arg("threshold"), nb::arg("limit"))
      .def(
          "placements",
          [](PyClient& self, nb::sequence buffers, std::optional<bool> copy) {
            return ToPlacements(buffers, &*self.client, ToCopying(copy));
          },
          nb::arg("buffers"), nb::arg("copy") = nb::none());
}

void BindBlobs(nb::class_<PyClient>& c) {
  c.def(
       "create_blob",
       [](PyClient& self, uint64_t size, Seconds timeout) {
         CallOptions options{ToTimeout(timeout)};
         MutableBlob blob =
             Unwrap(Unlocked([&] { return self.client->CreateBlob(size, options); }));
         return BlobBuilder(std::move(blob));
       },
       nb::arg("size"), nb::arg("timeout") = nb::none())
      .def(
          "seal",
          [](PyClient& self, BlobBuilder& builder, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            MutableBlob blob = builder.Take();
            auto sealing = Unlocked([&] { return self.client->Seal(std::move(blob), options); });
            builder.LetGo();
            Blob sealed = Unwrap(std::move(sealing));
            builder.id = sealed.id();
            return sealed;
          },
          nb::arg("builder"), nb::arg("timeout") = nb::none())
      .def(
          "get_blob",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            return Unwrap(Unlocked([&] { return self.client->GetBlob(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none());
}

void BindNames(nb::class_<PyClient>& c) {
  c.def(
       "put_name",
       [](PyClient& self, std::string name, ObjectId id, Version if_version, bool owns, Seconds ttl,
          Seconds linger, Seconds timeout, const std::optional<std::string>& durability,
          bool keep) {
         NameOptions options{
             ToTimeout(timeout),       if_version, owns, ToTimeout(ttl), ToTimeout(linger),
             ToDurability(durability), keep};
         return Unwrap(Unlocked([&] { return self.client->PutName(name, id, options); }));
       },
       nb::arg("name"), nb::arg("id"), nb::arg("if_version") = nb::none(), nb::arg("owns") = false,
       nb::arg("ttl") = nb::none(), nb::arg("linger") = nb::none(), nb::arg("timeout") = nb::none(),
       nb::arg("durability") = nb::none(), nb::arg("keep") = false)
      .def("get_name", &GetName, nb::arg("name"), nb::arg("wait") = false,
           nb::arg("timeout") = nb::none())
      .def(
          "drop_name",
          [](PyClient& self, std::string name, Version if_version, Seconds timeout) {
            NameOptions options{ToTimeout(timeout), if_version};
            Check(Unlocked([&] { return self.client->DropName(name, options); }));
          },
          nb::arg("name"), nb::arg("if_version") = nb::none(), nb::arg("timeout") = nb::none())
      .def(
          "list_names",
          [](PyClient& self, std::string pattern, bool regex, bool prefix,
             std::optional<size_t> limit, Seconds timeout) {
            ListNamesOptions options{ToTimeout(timeout), std::move(pattern), regex, prefix,
                                     limit.value_or(SIZE_MAX)};
            return ToList(Unwrap(Unlocked([&] { return self.client->ListNames(options); })));
          },
          nb::arg("pattern") = "*", nb::arg("regex") = false, nb::arg("prefix") = false,
          nb::arg("limit") = nb::none(), nb::arg("timeout") = nb::none());
}

void BindStreamCalls(nb::class_<PyClient>& c) {
  c.def(
       "create_stream",
       [](PyClient& self, ObjectId id, uint32_t capacity, uint32_t readers, Seconds timeout) {
         const StreamOptions options{ToTimeout(timeout), capacity, readers};
         Check(Unlocked([&] { return self.client->CreateStream(id, options); }));
       },
       nb::arg("id"), nb::arg("capacity") = 16, nb::arg("readers") = 1,
       nb::arg("timeout") = nb::none())
      .def(
          "open_stream_writer",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            return OpenStreamWriter(*self.client, id, timeout);
          },
          nb::arg("id"), nb::arg("timeout") = nb::none())
      .def(
          "open_stream_reader",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            return OpenStreamReader(*self.client, id, timeout);
          },
          nb::arg("id"), nb::arg("timeout") = nb::none())
      .def(
          "drop_stream",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            const CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->DropStream(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none())
      .def(
          "get_stream",
          [](PyClient& self, ObjectId id, Seconds timeout) {
            const CallOptions options{ToTimeout(timeout)};
            return Unwrap(Unlocked([&] { return self.client->GetStream(id, options); }));
          },
          nb::arg("id"), nb::arg("timeout") = nb::none());
}

void BindInstance(nb::class_<PyClient>& c) {
  c.def(
       "status",
       [](PyClient& self, Seconds timeout) {
         CallOptions options{ToTimeout(timeout)};
         return Unwrap(Unlocked([&] { return self.client->GetStatus(options); }));
       },
       nb::arg("timeout") = nb::none())
      .def(
          "create_volume",
          [](PyClient& self, std::string name, std::string directory, uint64_t quota,
             Seconds timeout, std::string read_only_socket, uint32_t mode, uint32_t read_only_mode,
             uint64_t guaranteed, const std::optional<std::string>& durability) {
            CallOptions options{ToTimeout(timeout)};
            const VolumeOptions volume{quota,
                                       guaranteed,
                                       {.mode = mode, .owner = {}, .group = {}},
                                       read_only_socket,
                                       {.mode = read_only_mode, .owner = {}, .group = {}},
                                       ToDurability(durability)};
            return Unwrap(Unlocked(
                [&] { return self.client->CreateVolume(name, directory, volume, options); }));
          },
          nb::arg("name"), nb::arg("directory"), nb::arg("quota") = 0,
          nb::arg("timeout") = nb::none(), nb::arg("read_only_socket") = "", nb::arg("mode") = 0660,
          nb::arg("read_only_mode") = 0660, nb::arg("guaranteed") = 0,
          nb::arg("durability") = nb::none())
      .def(
          "list_volumes",
          [](PyClient& self, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            return ToList(Unwrap(Unlocked([&] { return self.client->ListVolumes(options); })));
          },
          nb::arg("timeout") = nb::none())
      .def(
          "remove_volume",
          [](PyClient& self, std::string name, Seconds timeout) {
            CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.client->RemoveVolume(name, options); }));
          },
          nb::arg("name"), nb::arg("timeout") = nb::none())
      .def("__repr__",
           [](PyClient& self) {
             return "<vineyard._core.Client at " + self.client->socket() +
                    (self.client->connected() ? ">" : ", closed>");
           })
      .def("close", [](PyClient& self) { Unlocked([&] { self.client->Close(); }); })
      .def_prop_ro("socket", [](PyClient& self) { return self.client->socket(); })
      .def_prop_ro("volume",
                   [](PyClient& self) { return Unlocked([&] { return self.client->volume(); }); })
      .def_prop_ro("inline_max", [](PyClient& self) { return self.client->inline_max(); })
      .def_prop_ro("connected", [](PyClient& self) { return self.client->connected(); })
      .def_prop_ro("timeout", [](PyClient& self) {
        return std::chrono::duration<double>(self.timeout).count();
      });
}

}  // namespace

void BindClient(nb::module_& m) {
  nb::class_<PyClient> c(m, "Client", nb::is_weak_referenceable());
  c.def("__init__", &Connect, nb::arg("socket"), nb::arg("timeout") = 60.0,
        nb::arg("wait_for_instance") = 0.0);
  BindObjects(c);
  BindPlaces(c);
  BindMemory(c);
  BindBlobs(c);
  BindNames(c);
  BindStreamCalls(c);
  BindInstance(c);
  BindSeeing(c);
}

}  // namespace vineyard::python
