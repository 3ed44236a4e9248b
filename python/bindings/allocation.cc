// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

/// Freed without the GIL: that may unmap gigabytes, and speaks to the instance.
struct Memory {
  explicit Memory(Allocation a) : allocation(std::move(a)) {}
  Memory(Memory&&) = default;
  Memory& operator=(Memory&&) = delete;
  ~Memory() {
    if (!allocation.valid()) return;
    nb::gil_scoped_release released;
    allocation = {};
  }
  Allocation allocation;
};

/// The export holds a reference to the Python object, and that one keeps the memory.
int GetBuffer(PyObject* object, Py_buffer* view, int flags) {
  const auto bytes = nb::inst_ptr<Memory>(object)->allocation.bytes();
  return PyBuffer_FillInfo(view, object, bytes.data(), static_cast<Py_ssize_t>(bytes.size()),
                           /*readonly=*/0, flags);
}

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {0, nullptr},
};

const char* NameOf(Placement placement) {
  switch (placement) {
    case Placement::kOwn: return "own";
    case Placement::kInPlace: return "in place";
    case Placement::kReferred: return "referred";
    case Placement::kSmallPart: return "small part";
    case Placement::kChanged: return "changed";
    case Placement::kElsewhere: return "elsewhere";
    case Placement::kRefused: return "refused";
    case Placement::kForced: return "forced";
    case Placement::kHabit: return "habit";
  }
  return "own";
}

}  // namespace

nb::object ToMemory(Allocation allocation) { return nb::cast(Memory(std::move(allocation))); }

Copying ToCopying(std::optional<bool> copy) {
  if (!copy.has_value()) return Copying::kAuto;
  return *copy ? Copying::kForce : Copying::kAvoid;
}

nb::list ToPlacements(nb::sequence buffers, Client* client, Copying copying) {
  std::vector<BufferView> views;
  std::vector<std::span<const std::byte>> bytes;
  for (nb::handle item : buffers) {
    views.emplace_back(item);
    bytes.push_back(views.back().bytes());
  }
  const std::vector<Placement> placements = Unlocked([&] {
    return client != nullptr ? client->PlacementsOf(bytes, copying) : PlacementsOf(bytes, copying);
  });
  nb::list list;
  for (size_t i = 0; i < placements.size(); ++i) {
    list.append(nb::make_tuple(NameOf(placements[i]), Allocation::Containing(bytes[i]).size()));
  }
  return list;
}

void BindAllocation(nb::module_& m) {
  nb::class_<Memory>(m, "Memory", nb::type_slots(slots)).def("__len__", [](const Memory& self) {
    return self.allocation.size();
  });
  m.def(
      "placements",
      [](nb::sequence buffers, std::optional<bool> copy) {
        return ToPlacements(buffers, nullptr, ToCopying(copy));
      },
      nb::arg("buffers"), nb::arg("copy") = nb::none());
}

}  // namespace vineyard::python
