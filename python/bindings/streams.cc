// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

using Seconds = std::optional<double>;

/// Let go of without the GIL: the destructor tells the instance.
template <typename T>
struct Handle {
  std::optional<T> it;

  explicit Handle(T&& made) : it(std::move(made)) {}
  Handle(Handle&&) = default;
  ~Handle() {
    nb::gil_scoped_release released;
    it.reset();
  }
};
using Writer = Handle<StreamWriter>;
using Reader = Handle<StreamReader>;

ObjectId Put(Writer& self, std::string type_name, std::string metadata, nb::handle buffers,
             nb::handle members, nb::handle labels, Seconds timeout) {
  std::vector<BufferView> views;
  const ObjectBuilder builder =
      MakeBuilder({std::move(type_name), std::move(metadata), buffers, members, labels}, views);
  const StreamCallOptions options{ToTimeout(timeout)};
  return Unwrap(Unlocked([&] { return self.it->Put(builder, options); }));
}

ObjectId PutBlob(Writer& self, BlobBuilder& builder, Seconds timeout) {
  const StreamCallOptions options{ToTimeout(timeout)};
  MutableBlob blob = builder.Take();
  auto put = Unlocked([&] { return self.it->Put(std::move(blob), options); });
  builder.LetGo();
  builder.id = Unwrap(std::move(put));
  return builder.id;
}

void BindWriter(nb::module_& m) {
  nb::class_<Writer>(m, "StreamWriter", nb::is_weak_referenceable())
      .def("put", &Put, nb::arg("typename"), nb::arg("metadata"), nb::arg("buffers"),
           nb::arg("members") = nb::none(), nb::arg("labels") = nb::none(),
           nb::arg("timeout") = nb::none())
      .def("put_blob", &PutBlob, nb::arg("builder"), nb::arg("timeout") = nb::none())
      .def(
          "push",
          [](Writer& self, ObjectId chunk, bool owns, Seconds timeout) {
            const PushOptions options{ToTimeout(timeout), owns};
            Check(Unlocked([&] { return self.it->Push(chunk, options); }));
          },
          nb::arg("chunk"), nb::arg("owns") = false, nb::arg("timeout") = nb::none())
      .def(
          "finish",
          [](Writer& self, Seconds timeout) {
            const CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.it->Finish(options); }));
          },
          nb::arg("timeout") = nb::none())
      .def(
          "fail",
          [](Writer& self, const std::string& reason, Seconds timeout) {
            const CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.it->Fail(reason, options); }));
          },
          nb::arg("reason"), nb::arg("timeout") = nb::none())
      .def_prop_ro("stream", [](const Writer& self) { return self.it->stream(); })
      .def("__repr__", [](const Writer& self) {
        return "<StreamWriter of " + self.it->stream().ToString() + ">";
      });
}

void BindReader(nb::module_& m) {
  nb::class_<Reader>(m, "StreamReader", nb::is_weak_referenceable())
      .def(
          "next",
          [](Reader& self, Seconds timeout) {
            const StreamCallOptions options{ToTimeout(timeout)};
            return Unwrap(Unlocked([&] { return self.it->Next(options); }));
          },
          nb::arg("timeout") = nb::none())
      .def(
          "close",
          [](Reader& self, Seconds timeout) {
            const CallOptions options{ToTimeout(timeout)};
            Check(Unlocked([&] { return self.it->Close(options); }));
          },
          nb::arg("timeout") = nb::none())
      .def_prop_ro("stream", [](const Reader& self) { return self.it->stream(); })
      .def("__repr__", [](const Reader& self) {
        return "<StreamReader of " + self.it->stream().ToString() + ">";
      });
}

nb::list PidsAndPositions(const StreamInfo& info) {
  nb::list list;
  for (const StreamInfo::Reader& r : info.readers) list.append(nb::make_tuple(r.pid, r.position));
  return list;
}

}  // namespace

nb::object OpenStreamWriter(Client& client, ObjectId id, Seconds timeout) {
  const CallOptions options{ToTimeout(timeout)};
  return nb::cast(Writer(Unwrap(Unlocked([&] { return client.OpenStreamWriter(id, options); }))));
}

nb::object OpenStreamReader(Client& client, ObjectId id, Seconds timeout) {
  const CallOptions options{ToTimeout(timeout)};
  return nb::cast(Reader(Unwrap(Unlocked([&] { return client.OpenStreamReader(id, options); }))));
}

void BindStreams(nb::module_& m) {
  BindWriter(m);
  BindReader(m);
  nb::class_<StreamInfo>(m, "StreamInfo")
      .def_ro("finished", &StreamInfo::finished)
      .def_ro("failed", &StreamInfo::failed)
      .def_prop_ro("reason", [](const StreamInfo& self) { return ToStr(self.reason); })
      .def_ro("capacity", &StreamInfo::capacity)
      .def_ro("first", &StreamInfo::first)
      .def_ro("queued", &StreamInfo::queued)
      .def_ro("readers_wanted", &StreamInfo::readers_wanted)
      .def_ro("readers_come", &StreamInfo::readers_come)
      .def_ro("writer_pid", &StreamInfo::writer_pid)
      .def_prop_ro("readers", &PidsAndPositions)
      .def("__repr__", [](const StreamInfo& self) {
        const std::string state = self.finished ? "finished" : self.failed ? "failed" : "open";
        return "StreamInfo(" + state + ", queued=" + std::to_string(self.queued) +
               ", capacity=" + std::to_string(self.capacity) +
               ", first=" + std::to_string(self.first) + ")";
      });
}

}  // namespace vineyard::python
