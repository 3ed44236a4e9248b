# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How a Python value becomes a typename, metadata, buffers and members, and back.

`encode` and `decode` need no store, and are exact: what can't come back equal, of the same type and
dtype, is refused. Where to look:

* `tree`: nodes, sharing, registration; read this first
* `nesting`: values too deep for one tree
* `scalars`, `containers`, `arrays` with `dtypes`, `pickled`: what needs numpy alone
* `standard_values`, `timezones`, `classes`, `memoryviews`, `numpy_classes`: the same, met less often
* `sparse_values`: of scipy.sparse
* `pandas_values` and its neighbours: imported when a value of pandas is met
* `parts`: a stored value taken apart, with `arrow_parts` for pyarrow's
* `arrow_types`, `arrow_arrays`, `arrow_writing`, `arrow_values`: pyarrow; on them stand
  `polars_values`, and `capsule_values` for other libraries that exchange Arrow data

>>> typename, metadata, buffers, members = encode({"a": (1, 2.5)})
>>> decode(typename, metadata, buffers)
{'a': (1, 2.5)}
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vineyard.codecs import arrays, containers, pickled, scalars
from vineyard.codecs.nesting import encode_root
from vineyard.codecs.scalars import Encoded
from vineyard.codecs.tree import (
    LAZY,
    VERSION,
    CycleError,
    Decoder,
    Encoder,
    MemberFailedError,
    corrupted,
    dumps,
    loads,
    no_calls_left,
)
from vineyard.errors import TypeErrorException, UnknownLayoutException

__all__ = ["Encoded", "NotEncoded", "containers", "decode", "encode", "import_codecs"]

#: A tree whose text is longer than this is stored as a buffer; the metadata only names it.
MAX_METADATA = 16 * 1024

_FAST_ENCODE: dict[type, Callable[[Any], Encoded | None]] = {
    bytes: scalars.encode_bytes,
    int: scalars.encode_int,
    str: scalars.encode_str,
    float: scalars.encode_float,
    bool: scalars.encode_bool,
    type(None): scalars.encode_none,
    np.ndarray: arrays.encode_array,
}

_FAST_DECODE: dict[str, Callable[[str, Any], Any]] = {
    scalars.BYTES_TYPE: scalars.fast_bytes,
    scalars.INT_TYPE: scalars.fast_int,
    scalars.FLOAT_TYPE: scalars.fast_float,
    scalars.STR_TYPE: scalars.fast_str,
}

_TYPENAMES = {
    "list": "vineyard::Sequence",
    "tuple": "vineyard::Sequence",
    "dict": "vineyard::Dict",
    "set": "vineyard::Set",
    "frozenset": "vineyard::Set",
    "bytearray": "vineyard::Bytes",
    "complex": "vineyard::Scalar<complex>",
    "scalar": "vineyard::Scalar<{type_}>",
    "ellipsis": "vineyard::Scalar<void>",
    "pickle": "vineyard::PickleBuffer",
    "pandas.frame": "vineyard::DataFrame",
    "pandas.series": "vineyard::Series",
    "pandas.index": "vineyard::Index",
    "pandas.rangeindex": "vineyard::Index",
    "pandas.multiindex": "vineyard::Index",
    "pandas.sparse": "vineyard::SparseArray<{type_}>",
    **{
        f"scipy.{format}_{kind.lower()}": f"vineyard::{format.upper()}{kind}<{{type_}}>"
        for format in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        for kind in ("Matrix", "Array")
    },
    "torch.tensor": "vineyard::Tensor<{type_}>",
    "torch.module": "vineyard::torch::Module",
    "arrow.table": "vineyard::Table",
    "polars.frame": "vineyard::Table",
    "arrow.batch": "vineyard::RecordBatch",
    "arrow.schema": "vineyard::SchemaProxy",
    "arrow.chunked": "vineyard::ChunkedArray",
}


class NotEncoded(Exception):
    """The object was not made by `encode`: its metadata names no codec."""


def encode(
    value: Any, *, pickle: bool = True, custom: Callable[[Any], Any] | None = None
) -> Encoded:
    """A value as what an object is made of.

    Parameters
    ----------
    value : object
    pickle : bool
        Whether values without a codec of their own may be pickled.
    custom : callable, optional
        Called with the value and each part of it, plain numbers and texts excepted: gives the
        ObjectID of what it stored in its place, or None. What it stored becomes a member.

    Returns
    -------
    typename : str
    metadata : str
        A JSON object.
    buffers : list of contiguous buffer-protocol objects
        They refer to the value's own memory where that is contiguous.
    members : dict of str to ObjectID, or None

    Raises
    ------
    TypeErrorException
        The value can't be stored so that it comes back equal.
    """
    fast = _FAST_ENCODE.get(type(value))
    if fast is not None:
        encoded = fast(value)
        if encoded is not None:
            return encoded
    return _encode_tree(value, pickle, custom)


def _encode_tree(value: Any, pickle: bool, custom: Callable[[Any], Any] | None) -> Encoded:
    try:
        encoder, node = encode_root(lambda: Encoder(pickle, custom), value)
    except CycleError:
        encoder = Encoder(pickle)
        if not pickle:
            raise TypeErrorException(
                f"can't store a value of type {type(value).__name__}: it contains itself, "
                f"which only pickle can hold, and pickle was refused{pickled.HOW_TO_ALLOW}"
            ) from None
        node = pickled.encode_pickle(encoder, value)
    except RecursionError:
        raise TypeErrorException(
            f"can't store a value of type {type(value).__name__}: it is nested too deeply, or the "
            "program has called itself too deeply already: store its parts one by one, and their ids"
        ) from None
    encoder.finish()
    # What JSON holds by itself went the fast way.
    codec = node["value_"]["codec"] if node["codec"] == "deep" else node["codec"]
    if codec.startswith("tensor"):
        typename = arrays.typename_of(node)
    elif codec == "arrow.array":
        typename = importlib.import_module("vineyard.codecs.arrow_values").typename_of(node)
    else:
        typename = _TYPENAMES.get(codec, f"vineyard::{codec}")
        if "{" in typename:
            typename = typename.format(type_=node.get("type_") or node["value_type_meta_"])
    metadata = _metadata(node)
    if len(metadata) > MAX_METADATA:
        tree = encoder.buffer(metadata.encode())
        metadata = dumps({"codec": "tree", "version": VERSION, "of_": codec, "buffer": tree})
    return typename, metadata, encoder.buffers, encoder.members or None


def _metadata(node: dict[str, Any]) -> str:
    try:
        return dumps({"codec": node["codec"], "version": VERSION, **node})
    except RecursionError:
        raise TypeErrorException(
            "can't store a value that is nested too deeply: store its parts one by one, and their ids"
        ) from None


def decode(
    typename: str,
    metadata: str,
    buffers: Sequence[Any],
    *,
    pickle: bool = True,
    member: Callable[[str], Any] | None = None,
    writable: bool = False,
) -> Any:
    """The value of an object; the reverse of `encode`.

    Parameters
    ----------
    typename, metadata : str
    buffers : sequence of read-only buffer-protocol objects of bytes
    pickle : bool
        Whether pickles may be loaded.
    member : callable, optional
        Gets the value of a member by its key.
    writable : bool
        Whether arrays that are no views of the buffers may be written to; else only if the buffers
        may.

    Raises
    ------
    NotEncoded
        The object was made by other means: there is no value in it.
    CorruptedException
        It contradicts itself.
    UnknownLayoutException
        It was stored by a newer release.
    PickleRefusedException
        It holds a pickle, and `pickle` is False.
    """
    fast = _FAST_DECODE.get(typename)
    value = (fast or arrays.fast_array)(metadata, buffers)
    if value is not None:
        return value
    return _decode_tree(metadata, Decoder(buffers, pickle, member, writable))


def root_of(metadata: str, decoder: Decoder) -> tuple[dict[str, Any], bool]:
    """The outermost node of a stored value, and whether the metadata holds it; raises as `decode`."""
    node = _checked_root(loads(metadata))
    if node["codec"] != "tree":
        return node, True
    node = _checked_root(loads(scalars.text_of(decoder.need_buffer(node))))
    if node["codec"] == "tree":
        corrupted("a tree that leads to a tree")
    return node, False


def _decode_tree(metadata: str, decoder: Decoder) -> Any:
    node, is_metadata = root_of(metadata, decoder)
    try:
        value = decoder.value(node)
    except RecursionError:
        no_calls_left()
    except MemberFailedError as failed:
        raise failed.__cause__ or failed from None
    if node["codec"] == "tensor" and is_metadata:
        arrays.remember(metadata, node, value)
    return value


def _checked_root(node: Any) -> dict[str, Any]:
    if type(node) is not dict:
        corrupted("its metadata is no JSON object")
    if "codec" not in node:
        raise NotEncoded
    if type(node["codec"]) is not str:
        corrupted("its codec is no text")
    version = node.get("version")
    if type(version) is not int or version < 1:
        corrupted(f"version {str(version)[:40]!r}")
    if version > VERSION:
        raise UnknownLayoutException(
            f"stored in version {version} of the layout; this release reads up to {VERSION}: "
            "a newer release of vineyard is needed"
        )
    return node


def import_codecs() -> None:
    """Imports the codecs of libraries that this process has imported, which else the first value of each does."""
    for package in LAZY.keys() & sys.modules.keys():
        importlib.import_module(LAZY[package])
