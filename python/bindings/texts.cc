// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Many str at once: their UTF-8 one after another, and how many characters each has. Lone surrogates are
// kept, three bytes each, as Python's "surrogatepass" writes them.
#include <cstring>

#include "bindings.h"

namespace vineyard::python {
namespace {

nb::object BytesOfSize(size_t size) {
  nb::object bytes = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
  if (!bytes.is_valid()) throw nb::python_error();
  return bytes;
}

/// ASCII texts lie in memory as their UTF-8. `size`: of all of them.
nb::object JoinAscii(PyObject* texts, size_t size) {
  nb::object joined = BytesOfSize(size);
  char* to = PyBytes_AS_STRING(joined.ptr());
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(texts); ++i) {
    PyObject* text = PyList_GET_ITEM(texts, i);
    const auto length = static_cast<size_t>(PyUnicode_GET_LENGTH(text));
    std::memcpy(to, PyUnicode_1BYTE_DATA(text), length);
    to += length;
  }
  return joined;
}

nb::object JoinAny(PyObject* texts) {
  std::string joined;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(texts); ++i) {
    const nb::object bytes =
        nb::steal(PyUnicode_AsEncodedString(PyList_GET_ITEM(texts, i), "utf-8", "surrogatepass"));
    if (!bytes.is_valid()) throw nb::python_error();
    joined.append(PyBytes_AS_STRING(bytes.ptr()),
                  static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr())));
  }
  return nb::bytes(joined.data(), joined.size());
}

nb::tuple PackTexts(nb::list texts) {
  const Py_ssize_t count = PyList_GET_SIZE(texts.ptr());
  nb::object lengths = BytesOfSize(static_cast<size_t>(count) * sizeof(int64_t));
  char* to = PyBytes_AS_STRING(lengths.ptr());
  bool ascii = true;
  size_t size = 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* text = PyList_GET_ITEM(texts.ptr(), i);
    if (!PyUnicode_CheckExact(text)) throw nb::type_error("an item is no str");
    const int64_t length = PyUnicode_GET_LENGTH(text);
    std::memcpy(to + static_cast<size_t>(i) * sizeof length, &length, sizeof length);
    ascii = ascii && PyUnicode_IS_COMPACT_ASCII(text);
    size += static_cast<size_t>(length);
  }
  return nb::make_tuple(ascii ? JoinAscii(texts.ptr(), size) : JoinAny(texts.ptr()), lengths);
}

/// The end of `characters` characters from `at` on, and whether all are ASCII; null: the text ends before.
const char* SkipCharacters(const char* at, const char* end, int64_t characters, bool* ascii) {
  *ascii = false;
  if (characters <= end - at) {
    // Most texts: as many bytes as characters.
    unsigned char seen = 0;
    for (int64_t i = 0; i < characters; ++i) seen |= static_cast<unsigned char>(at[i]);
    if (seen < 0x80) {
      *ascii = true;
      return at + characters;
    }
  }
  for (; characters > 0; --characters) {
    if (at == end) return nullptr;
    ++at;
    while (at != end && (static_cast<unsigned char>(*at) & 0xC0) == 0x80) ++at;
  }
  return at;
}

nb::object MakeText(const char* data, Py_ssize_t size, bool ascii) {
  if (!ascii) return nb::steal(PyUnicode_DecodeUTF8(data, size, "surrogatepass"));
  nb::object text = nb::steal(PyUnicode_New(size, 0x7F));
  if (text.is_valid() && size > 0) {
    std::memcpy(PyUnicode_1BYTE_DATA(text.ptr()), data, static_cast<size_t>(size));
  }
  return text;
}

/// ValueError where they are not what PackTexts makes.
nb::list UnpackTexts(nb::handle texts, nb::handle lengths) {
  const BufferView bytes(texts);
  const BufferView counts(lengths);
  const auto* at = reinterpret_cast<const char*>(bytes.bytes().data());
  const char* const end = at + bytes.bytes().size();
  if (counts.bytes().size() % sizeof(int64_t) != 0) {
    throw nb::value_error("the lengths of texts are no whole number of items");
  }
  const size_t count = counts.bytes().size() / sizeof(int64_t);
  nb::list list = nb::steal<nb::list>(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!list.is_valid()) throw nb::python_error();
  for (size_t i = 0; i < count; ++i) {
    int64_t length = 0;
    std::memcpy(&length, counts.bytes().data() + i * sizeof length, sizeof length);
    if (length < 0) throw nb::value_error("a text of negative length");
    bool ascii = false;
    const char* const next = SkipCharacters(at, end, length, &ascii);
    if (next == nullptr) throw nb::value_error("packed texts do not match their lengths");
    nb::object text = MakeText(at, next - at, ascii);
    if (!text.is_valid()) throw nb::python_error();
    if (PyUnicode_GET_LENGTH(text.ptr()) != length) {
      throw nb::value_error("packed texts do not match their lengths");
    }
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), text.release().ptr());
    at = next;
  }
  if (at != end) throw nb::value_error("packed texts do not match their lengths");
  return list;
}

}  // namespace

void BindTexts(nb::module_& m) {
  m.def("pack_texts", &PackTexts, nb::arg("texts"));
  m.def("unpack_texts", &UnpackTexts, nb::arg("texts"), nb::arg("lengths"));
}

}  // namespace vineyard::python
