// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// numpy's allocations, from an Allocator where it has memory, else from the handler that numpy had before.
//
// numpy calls a handler's functions from any thread, and an array keeps the capsule of the one that made
// it: each here frees what any Allocator gave, passes on the rest, and is there as long as such an array
// is. No function that numpy calls touches Python: some callers hold no GIL.
#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "bindings.h"

#include <numpy/arrayobject.h>

namespace vineyard::python {
namespace {

constexpr const char* kCapsule = "mem_handler";  // as numpy names it

// ---- what numpy calls. `context` is a Hook

struct Hook {
  PyDataMem_Handler handler{};
  const PyDataMem_Handler* before = nullptr;
  nb::object before_capsule;
  Allocator own;
  std::atomic<const Allocator*> allocator = nullptr;  // null: none now
};

void* Give(void* context, size_t size, AllocatedBytes content) {
  const Allocator* allocator = static_cast<Hook*>(context)->allocator.load();
  return allocator == nullptr ? nullptr : allocator->Allocate(size, content);
}

const PyDataMemAllocator& Before(void* context) {
  return static_cast<Hook*>(context)->before->allocator;
}

void* Malloc(void* context, size_t size) {
  if (void* block = Give(context, size, AllocatedBytes::kAny)) return block;
  const PyDataMemAllocator& before = Before(context);
  return before.malloc(before.ctx, size);
}

void* Calloc(void* context, size_t count, size_t each) {
  size_t size = 0;
  if (!__builtin_mul_overflow(count, each, &size)) {
    if (void* block = Give(context, size, AllocatedBytes::kZero)) return block;
  }
  const PyDataMemAllocator& before = Before(context);
  return before.calloc(before.ctx, count, each);
}

void Free(void* context, void* block, size_t size) {
  if (Allocator::Free(block)) return;
  const PyDataMemAllocator& before = Before(context);
  before.free(before.ctx, block, size);
}

// How long another handler's block is only that one knows: such a block stays in its world.
void* Realloc(void* context, void* block, size_t new_size) {
  size_t size = 0;
  if (block == nullptr) return Malloc(context, new_size);
  if (Allocator::Resize(block, new_size, &size)) return block;
  if (size == 0) {
    const PyDataMemAllocator& before = Before(context);
    return before.realloc(before.ctx, block, new_size);
  }
  void* moved = Malloc(context, new_size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(size, new_size));
  Allocator::Free(block);
  return moved;
}

// ---- installing it

void NeedNumpy() {
  if (PyArray_API == nullptr && PyArray_ImportNumPyAPI() < 0) throw nb::python_error();
}

const PyDataMem_Handler* HandlerOf(nb::handle capsule) {
  void* handler = PyCapsule_GetPointer(capsule.ptr(), kCapsule);
  if (handler == nullptr) throw nb::python_error();
  return static_cast<const PyDataMem_Handler*>(handler);
}

// What numpy's first large array would have done had it come from malloc: glibc learns from the first large block
// that is freed to keep such blocks from then on. Without it, whatever else the program allocates (pandas' hash
// tables) would be mapped and unmapped each time.
void TeachMalloc() {
  constexpr size_t kLargestItLearnsFrom = (size_t{32} << 20) - (size_t{64} << 10);
  void* volatile block = std::malloc(kLargestItLearnsFrom);
  std::free(block);
}

void Fill(Hook* hook, const char* name, const PyDataMem_Handler* before) {
  TeachMalloc();
  hook->before = before;
  hook->handler.version = 1;
  std::string_view(name).copy(hook->handler.name, sizeof hook->handler.name - 1);
  hook->handler.allocator = {hook, &Malloc, &Calloc, &Realloc, &Free};
}

/// A handler in front of the one that is current now.
nb::object MakeHandler(const Allocator& allocator) {
  NeedNumpy();
  auto hook = std::make_unique<Hook>();
  hook->before_capsule = nb::steal(PyDataMem_GetHandler());
  if (!hook->before_capsule.is_valid()) throw nb::python_error();
  Fill(hook.get(), "vineyard", HandlerOf(hook->before_capsule));
  hook->own = allocator;
  hook->allocator = &hook->own;
  nb::object capsule = nb::steal(PyCapsule_New(&hook->handler, kCapsule, [](PyObject* dying) {
    auto* handler = static_cast<PyDataMem_Handler*>(PyCapsule_GetPointer(dying, kCapsule));
    delete static_cast<Hook*>(handler->allocator.ctx);
  }));
  if (!capsule.is_valid()) throw nb::python_error();
  hook.release();
  return capsule;
}

/// Makes a handler the current context's; gives the one it had.
nb::object SetHandler(nb::handle capsule) {
  NeedNumpy();
  HandlerOf(capsule);
  nb::object before = nb::steal(PyDataMem_SetHandler(capsule.ptr()));
  if (!before.is_valid()) throw nb::python_error();
  return before;
}

/// In front of numpy's default handler, for all threads and contexts that have no other: arrays that have
/// the capsule of the default one are freed by what it points to, so it stays installed for good, and so
/// does each allocator that another thread may be about to use.
void SetDefault(const Allocator* allocator) {
  NeedNumpy();
  static Hook* hook = nullptr;
  if (hook == nullptr) {
    if (allocator == nullptr) return;
    const PyDataMem_Handler* before = HandlerOf(PyDataMem_DefaultHandler);
    auto made = std::make_unique<Hook>();
    Fill(made.get(), before->name, before);  // it is numpy's default one still
    if (PyCapsule_SetPointer(PyDataMem_DefaultHandler, &made->handler) != 0)
      throw nb::python_error();
    hook = made.release();
  }
  hook->allocator = allocator == nullptr ? nullptr : new Allocator(*allocator);
}

}  // namespace

void BindAllocator(nb::module_& m) {
  nb::class_<Allocator>(m, "Allocator")
      .def("give_back", [](const Allocator& self) { Unlocked([&] { self.GiveBackIdle(); }); })
      .def_prop_ro("threshold", &Allocator::threshold)
      .def_prop_ro("allocations", [](const Allocator& a) { return a.statistics().allocations; })
      .def_prop_ro("reused", [](const Allocator& a) { return a.statistics().reused; })
      .def_prop_ro("declined", [](const Allocator& a) { return a.statistics().declined; })
      .def_prop_ro("bytes_used", [](const Allocator& a) { return a.statistics().bytes_used; })
      .def_prop_ro("bytes_idle", [](const Allocator& a) { return a.statistics().bytes_idle; });
  m.def("make_handler", &MakeHandler, nb::arg("allocator"));
  m.def("set_handler", &SetHandler, nb::arg("handler"));
  m.def("set_default_allocator", &SetDefault, nb::arg("allocator").none());
  m.def("missing_huge_pages", [] { return ToStr(Allocator::MissingHugePages()); });
}

}  // namespace vineyard::python
