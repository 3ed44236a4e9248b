# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""numpy's dtypes.

One of *plain* elements is written as its text, ``"<f8"`` or ``"<M8[25s]"``. Any other is a node that
says all that its text does not: fields with their offsets, titles and gaps, subarrays, metadata,
C types that share a size (``longlong``), and of a long double which format it has; as a value of its
own every dtype is such a node.

>>> import numpy as np
>>> from vineyard.codecs.tree import Decoder, Encoder
>>> dtype_node(Encoder(), np.dtype(">u2"))
'>u2'
>>> node = dtype_node(Encoder(), np.dtype([("a", "i4"), ("b", "S3")], align=True))
>>> dtype_from(Decoder([]), node)
dtype([('a', '<i4'), ('b', 'S3')], align=True)
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import (
    Decoder,
    Encode,
    Encoder,
    Node,
    corrupted,
    decodes,
    recognises,
    refuse,
)
from vineyard.errors import NotAvailableHereException

#: Names of element types in typenames, where the C++ name differs from numpy's.
_CPP_NAMES = {"float32": "float", "float64": "double", "int32": "int"}

_DTYPE_TEXT = re.compile(r"[<>|][biufcmMSUV]\d+(\[\d*[a-zA-Zμ]+\])?")

#: Bits of a long double's fraction: 63 on x86, 112 on arm64; and its size in bytes.
_LONG_MANTISSA = int(np.finfo(np.longdouble).nmant)
_LONG_KINDS = {f"f{np.dtype('g').itemsize}", f"c{np.dtype('G').itemsize}"} - {"f8", "c16"}

#: Of the dtypes with one text, the text gives the first; the others also need their letter.
_LETTERS = "qQc"

_MAX_ITEM = 2**31 - 1


class DtypeInfo:
    """What is the same for all arrays of one plain dtype."""

    __slots__ = ("char", "exports", "head", "keys", "typename")

    def __init__(self, dtype: np.dtype[Any]) -> None:
        name = dtype.name
        native = dtype.isnative
        cpp = _CPP_NAMES.get(name, name) if native else f"{name}, big-endian"
        self.char = dtype.char
        self.typename = f"vineyard::Tensor<{cpp}>"
        self.keys = {"value_type_": name, "value_type_meta_": dtype.str}
        self.head = (
            f'{{"codec":"tensor","version":1,"value_type_":"{name}",'
            f'"value_type_meta_":"{dtype.str}","order_":"C","partition_index_":[],"buffer":0,"shape_":'
        )
        # Whether memoryview understands the array as it is; else its bytes are viewed as uint8.
        self.exports = native and dtype.kind in "biuf" and 0 < dtype.itemsize <= 8


_INFOS: dict[np.dtype[Any], DtypeInfo] = {}


def known_info(dtype: np.dtype[Any]) -> DtypeInfo | None:
    """`plain_info`, where that was asked for before."""
    info = _INFOS.get(dtype)
    # Dtypes that differ in these are equal to numpy.
    if info is None or info.char != dtype.char or dtype.metadata is not None:
        return None
    return info


def plain_info(dtype: np.dtype[Any]) -> DtypeInfo | None:
    """None for dtypes of which the text does not say everything."""
    info = known_info(dtype)
    if info is not None:
        return info
    if (
        dtype.kind not in "biufcmMSU"
        or dtype.itemsize == 0
        or dtype.metadata is not None
        or dtype.names is not None
        or dtype.str[1:] in _LONG_KINDS
        or dtype.char in _LETTERS
        or dtype.isbuiltin == 2
    ):
        return None
    if len(_INFOS) > 1000:
        _INFOS.clear()
    info = _INFOS[dtype] = DtypeInfo(dtype)
    return info


_PARSED: dict[str, np.dtype[Any]] = {}


def dtype_of(text: str) -> np.dtype[Any]:
    """The plain dtype of a stored ``value_type_meta_``."""
    dtype = _PARSED.get(text)
    if dtype is not None:
        return dtype
    dtype = _parse(text)
    if dtype.itemsize == 0 or dtype.kind == "V":
        corrupted(f"{text[:40]!r} is no dtype of numbers")
    if text[1:] in _LONG_KINDS:
        corrupted(f"{text[:40]!r} does not say which format of a long double it means")
    if len(_PARSED) > 1000:
        _PARSED.clear()
    _PARSED[text] = dtype
    return dtype


def _parse(text: str) -> np.dtype[Any]:
    if not _DTYPE_TEXT.fullmatch(text):
        corrupted(f"{text[:40]!r} is no dtype of numbers")
    try:
        return np.dtype(text)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        corrupted(f"{text[:40]!r} is no dtype here: {error}")


# ---- every dtype


def dtype_node(encoder: Encoder, dtype: np.dtype[Any]) -> Node:
    """The text of a plain dtype, the node of any other.

    Raises
    ------
    TypeErrorException
        There is no way to write it down.
    """
    if plain_info(dtype) is not None:
        return dtype.str
    return _full_node(encoder, dtype)


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is, or has a field, of another package than numpy."""
    if dtype.subdtype is not None:
        return is_foreign(dtype.base)
    if dtype.fields is not None:
        return any(is_foreign(field[0]) for field in dtype.fields.values())
    return dtype.isbuiltin == 2 or type(dtype).__module__.partition(".")[0] != "numpy"


@recognises
def _encoder_of_dtypes(t: type) -> Encode | None:
    return _value_node if issubclass(t, np.dtype) else None


def _value_node(encoder: Encoder, dtype: np.dtype[Any]) -> Node:
    if is_foreign(dtype):
        return encode_pickle(encoder, dtype, "it is not of numpy, and has no codec")
    return _full_node(encoder, dtype)


def _full_node(encoder: Encoder, dtype: np.dtype[Any]) -> dict[str, Any]:
    node: dict[str, Any] = {"codec": "dtype", **_own_keys(encoder, dtype)}
    if dtype.metadata is not None:
        node["metadata_"] = encoder.node(dict(dtype.metadata))
    return node


def _own_keys(encoder: Encoder, dtype: np.dtype[Any]) -> dict[str, Any]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"kind_": "subarray", "base_": dtype_node(encoder, base), "shape_": list(shape)}
    if dtype.names is not None and dtype.type in (np.void, np.record):
        return _struct_keys(encoder, dtype)
    if dtype.kind == "O" and dtype.type is np.object_:
        return {"kind_": "object"}
    if dtype.kind == "T" and dtype.isbuiltin != 2:
        keys = {"kind_": "string", "coerce_": bool(getattr(dtype, "coerce", True))}
        if hasattr(dtype, "na_object"):
            keys["na_"] = encoder.node(dtype.na_object)
        return keys
    if (
        dtype.kind not in "biufcmMSUV"
        or dtype.names is not None
        or dtype.isbuiltin == 2
        or (dtype.kind == "V" and dtype.type is not np.void)
    ):
        refuse(dtype, f"dtype {dtype} has no codec")
    keys = {"kind_": "plain", "str_": dtype.str}
    if dtype.char in _LETTERS:
        keys["char_"] = dtype.char
    if dtype.str[1:] in _LONG_KINDS:
        keys["mantissa_"] = _LONG_MANTISSA
    return keys


def _struct_keys(encoder: Encoder, dtype: np.dtype[Any]) -> dict[str, Any]:
    fields: list[Any] = [dtype.fields[name] for name in dtype.names or ()]  # type: ignore[index]
    keys: dict[str, Any] = {
        "kind_": "struct",
        "names_": [encoder.node(name) for name in dtype.names or ()],
        "formats_": [dtype_node(encoder, field[0]) for field in fields],
        "offsets_": [field[1] for field in fields],
        "itemsize_": dtype.itemsize,
    }
    titles = [field[2] if len(field) > 2 else None for field in fields]
    if not all(title is None or type(title) is str for title in titles):
        refuse(dtype, f"the titles of the fields of {dtype} are no texts")
    if any(title is not None for title in titles):
        keys["titles_"] = [encoder.node(title) for title in titles]
    if dtype.isalignedstruct:
        if _divides_by_zero([field[0] for field in fields]):
            refuse(dtype, f"{dtype.fields} aligns a structure without fields, which takes numpy 2")
        keys["aligned_"] = True
    if dtype.type is np.record:
        keys["record_"] = True
    return keys


def dtype_from(decoder: Decoder, node: Node) -> np.dtype[Any]:
    """The reverse of `dtype_node`."""
    if type(node) is str:
        return dtype_of(node)
    dtype = decoder.value(node)
    if not isinstance(dtype, np.dtype):
        corrupted(f"a dtype that is a {type(dtype).__name__}")
    return dtype


@decodes("dtype")
def _decode_dtype(decoder: Decoder, node: dict[str, Any]) -> np.dtype[Any]:
    dtype = _own_dtype(decoder, node)
    if "metadata_" not in node:
        return dtype
    metadata = decoder.value(node["metadata_"])
    if type(metadata) is not dict:
        corrupted("metadata of a dtype that are no dict")
    return np.dtype(dtype, metadata=metadata)


def _own_dtype(decoder: Decoder, node: dict[str, Any]) -> np.dtype[Any]:
    kind = node.get("kind_")
    if kind == "plain":
        return _plain_dtype(decoder, node)
    if kind == "object":
        return np.dtype("O")
    if kind == "subarray":
        shape = decoder.need_ints(node, "shape_", 0, _MAX_ITEM)
        return np.dtype((dtype_from(decoder, node.get("base_")), tuple(shape)))
    if kind == "struct":
        return _struct_dtype(decoder, node)
    if kind == "string":
        if not hasattr(np.dtypes, "StringDType"):
            raise NotAvailableHereException(
                f"the value has numpy's StringDType, which numpy {np.__version__} does not have: "
                "pip install 'numpy>=2'"
            )
        coerce = decoder.need(node, "coerce_", bool)
        if "na_" not in node:
            return np.dtypes.StringDType(coerce=coerce)
        na = decoder.value(node["na_"])
        na = np.nan if type(na) is float and na != na else na
        return np.dtypes.StringDType(na_object=na, coerce=coerce)
    corrupted(f"a dtype of kind {str(kind)[:20]!r}")


def _plain_dtype(decoder: Decoder, node: dict[str, Any]) -> np.dtype[Any]:
    text = decoder.need(node, "str_", str)
    if "mantissa_" in node and decoder.need_int(node, "mantissa_") != _LONG_MANTISSA:
        raise NotAvailableHereException(
            f"long doubles of another kind of machine, with {node['mantissa_']} bits of fraction "
            f"(here: {_LONG_MANTISSA}): read them there, and store them as float64"
        )
    if "mantissa_" not in node and text[1:] in _LONG_KINDS:
        corrupted(f"{text[:40]!r} does not say which format of a long double it means")
    dtype = _parse(text)
    if "char_" not in node:
        return dtype
    char = decoder.need(node, "char_", str)
    if len(char) != 1 or char not in _LETTERS:
        corrupted(f"a dtype of letter {char[:9]!r}")
    made: np.dtype[Any] = np.dtype(char)
    made = made if made.str == text else made.newbyteorder(text[0])
    if made.kind != dtype.kind:
        corrupted(f"the letter {char!r} for {text[:40]!r}")
    if made.str != text:
        raise NotAvailableHereException(
            f"the C type of numpy's letter {char!r} has another size here: {made.str} for {text}"
        )
    return made


def _struct_dtype(decoder: Decoder, node: dict[str, Any]) -> np.dtype[Any]:
    names = [decoder.value(name) for name in decoder.need(node, "names_", list)]
    formats = [dtype_from(decoder, format) for format in decoder.need(node, "formats_", list)]
    offsets = decoder.need_ints(node, "offsets_", 0, _MAX_ITEM)
    itemsize = decoder.need_int(node, "itemsize_", 0, _MAX_ITEM)
    description: dict[str, Any] = {
        "names": names,
        "formats": formats,
        "offsets": offsets,
        "itemsize": itemsize,
    }
    if "titles_" in node:
        titles = [decoder.value(title) for title in decoder.need(node, "titles_", list)]
        if not all(title is None or type(title) is str for title in titles):
            corrupted("a title of a field that is no text")
        description["titles"] = titles
    if not all(type(name) is str for name in names) or len(names) != len(formats):
        corrupted("a field without a name")
    for format, offset in zip(formats, offsets, strict=True):
        if offset + format.itemsize > itemsize:
            corrupted(f"a field at {offset}, outside of {itemsize} bytes")
    aligned = "aligned_" in node and decoder.need(node, "aligned_", bool)
    if aligned and _divides_by_zero(formats):
        raise NotAvailableHereException(
            f"numpy {np.__version__} can't align a structure around one without fields: "
            "pip install 'numpy>=2'"
        )
    make: Any = np.dtype
    dtype: np.dtype[Any] = make(description, align=aligned)
    if "record_" in node:
        dtype = make((np.record, dtype))
    return dtype


def _divides_by_zero(formats: list[np.dtype[Any]]) -> bool:
    """Whether numpy 1 would end the process, because to it aligned nothing has the alignment 0."""
    return any(format.alignment == 0 for format in formats)


def has_gaps(dtype: np.dtype[Any]) -> bool:
    """Whether an element has bytes that belong to no field."""
    return _covered(dtype) < dtype.itemsize


def _covered(dtype: np.dtype[Any]) -> int:
    """How many bytes of an element belong to a field."""
    if dtype.subdtype is not None:
        base = dtype.subdtype[0]
        return dtype.itemsize if not has_gaps(base) else 0
    if dtype.names is None:
        return dtype.itemsize
    end = covered = 0
    fields = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
    for inner, offset in sorted(((f[0], f[1]) for f in fields), key=lambda f: f[1]):
        if offset > end or has_gaps(inner):
            return 0
        covered = end = max(end, offset + inner.itemsize)
    return covered
