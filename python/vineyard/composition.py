# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects that programs compose of others: pairs, sequences, global tensors and data frames.

Their metadata names no codec: each part is a member, an object of its own. The keys are those that
older programs write and read:

============================  ====================================================================
typename                      members and keys
============================  ====================================================================
``vineyard::Pair``            ``first_``, ``second_``
``vineyard::Sequence``        ``__elements_-0``, ...; their number in ``__elements_-size``
``vineyard::Tuple``           the same
``vineyard::GlobalTensor``    ``partitions_-0``, ...; their number in ``partitions_-size``
``vineyard::GlobalDataFrame`` the same
============================  ====================================================================

A get gives a tuple of the values of a pair, sequence or tuple, and a list of the values of the
partitions, and a `vineyard.io.Stream` of a stream. Other typenames come as `vineyard.Object`.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vineyard._core import Blob
from vineyard.calls.refs import to_id
from vineyard.codecs.tree import corrupted, loads
from vineyard.errors import InvalidException, TypeErrorException
from vineyard.objects import Object, ObjectMeta
from vineyard.progress import Progress, copies

if TYPE_CHECKING:
    from vineyard.calls.deadlines import Deadline
    from vineyard.client import Client

#: Typename -> prefix of the keys of the parts.
_PREFIXES = {
    "vineyard::Sequence": "__elements_-",
    "vineyard::Tuple": "__elements_-",
    "vineyard::GlobalTensor": "partitions_-",
    "vineyard::GlobalDataFrame": "partitions_-",
}


# ---- reading


def composed_value(
    obj: Object,
    deadline: Deadline,
    *,
    copy: bool = False,
    writable: bool = False,
    progress: Progress | None = None,
) -> Any:
    """The value of an object without a codec: of its parts where its typename says how, else the
    object itself.

    Raises
    ------
    CorruptedException
        A part that its keys announce is missing.
    """
    keys = _part_keys(obj)
    if keys is None:
        return _stream(obj)
    made = list if obj.typename.startswith("vineyard::Global") else tuple
    try:
        return made([_part(obj.meta, key, deadline, copy, writable, progress) for key in keys])
    except RecursionError:
        corrupted("too many objects lie in one another")


def composed_parts(obj: Object) -> Iterator[tuple[str, Callable[[Deadline], Any]]] | None:
    """The key of each part of an object without a codec, and what gets its value; None if it has none."""
    keys = _part_keys(obj)
    if keys is None:
        return None
    return ((key, partial(_part, obj.meta, key)) for key in keys)


def _part_keys(obj: Object) -> list[str] | None:
    if obj.typename == "vineyard::Pair":
        return ["first_", "second_"]
    prefix = _PREFIXES.get(obj.typename)
    if prefix is None:
        return None
    size = obj.meta.get(f"{prefix}size")
    if type(size) is not int or not 0 <= size <= len(obj.meta):
        corrupted(f"key '{prefix}size' of {obj!r} is {str(size)[:40]}")
    return [f"{prefix}{i}" for i in range(size)]


#: Typename -> where its class is.
_STREAMS = {
    "vineyard::Stream": ("stream", "Stream"),
    "vineyard::ByteStream": ("byte", "ByteStream"),
    "vineyard::RecordBatchStream": ("recordbatch", "RecordBatchStream"),
    "vineyard::DataframeStream": ("dataframe", "DataframeStream"),
    "vineyard::StreamCollection": ("stream", "StreamCollection"),
}


def is_stream(obj: Object) -> bool:
    """Whether it is a stream, or a collection of streams."""
    return obj.typename in _STREAMS


def _stream(obj: Object) -> Object:
    """A stream as one; any other object as it is."""
    if obj.typename not in _STREAMS:
        return obj
    module, name = _STREAMS[obj.typename]
    made: Object = getattr(import_module(f"vineyard.io.{module}"), name)(obj.meta)
    return made


def _part(
    meta: ObjectMeta,
    key: str,
    deadline: Deadline,
    copy: bool = False,
    writable: bool = False,
    progress: Progress | None = None,
) -> Any:
    member = meta.member_ref(key)
    if member is None:
        corrupted(f"{meta!r} has no member {key!r}")
    if not isinstance(member, Blob):
        return meta.client.get(
            member, copy=copy, writable=writable, progress=progress, timeout=deadline.left()
        )
    if copy:
        return memoryview(copies([member], progress, bars=False)[0])
    return memoryview(member.private() if writable else member)


# ---- composing


def make_global_tensor(
    client: Client, blocks: Iterable[Any], extra_meta: Mapping[str, Any] | None = None
) -> ObjectMeta:
    """Stores a tensor whose partitions are arrays stored before.

    Parameters
    ----------
    client : Client
    blocks : iterable
        What names the partitions: ObjectID, Object, ObjectMeta, or an id's text or integer.
    extra_meta : mapping, optional
        More keys of its metadata, such as ``partition_shape_``.

    Returns
    -------
    ObjectMeta
        ``meta["partitions_-size"]`` is how many partitions there are, ``meta["partitions_-0"]`` the
        metadata of the first.
    """
    return _make_global(client, "vineyard::GlobalTensor", blocks, extra_meta)


def make_global_dataframe(
    client: Client, blocks: Iterable[Any], extra_meta: Mapping[str, Any] | None = None
) -> ObjectMeta:
    """Stores a data frame whose partitions are data frames stored before; as `make_global_tensor`."""
    return _make_global(client, "vineyard::GlobalDataFrame", blocks, extra_meta)


def _make_global(
    client: Client, typename: str, blocks: Iterable[Any], extra_meta: Mapping[str, Any] | None
) -> ObjectMeta:
    members = [to_id(block) for block in blocks]
    meta = ObjectMeta(global_=True)
    meta["typename"] = typename
    for key, value in (extra_meta or {}).items():
        meta[key] = value
    meta["partitions_-size"] = len(members)
    for i, member in enumerate(members):
        meta.add_member(f"partitions_-{i}", member)
    return client.create_metadata(meta)


# ---- what a put says about the place of a value in a larger one


def with_place(typename: str, metadata: str, keywords: dict[str, Any]) -> str:
    """The metadata of a value with the keys that these keyword arguments of a put stand for.

    Parameters
    ----------
    typename, metadata : str
        As `vineyard.codecs.encode` makes them.
    keywords : dict
        ``partition_index``: integers, the place among the partitions; ``row_batch_index``: an
        integer; ``global_``: whether the parts may lie on several instances.

    Raises
    ------
    TypeError
        For other keywords.
    """
    unknown = keywords.keys() - {"partition_index", "row_batch_index", "global_"}
    if unknown:
        raise TypeError(f"put() got unexpected keyword arguments {sorted(unknown)}")
    content = loads(metadata)
    if "partition_index" in keywords:
        index = _integers(keywords["partition_index"])
        if typename == "vineyard::DataFrame":
            if len(index) != 2:
                raise InvalidException(f"partition_index of a data frame is (row, column): {index}")
            content["partition_index_row_"], content["partition_index_column_"] = index
        else:
            content["partition_index_"] = index
    if "row_batch_index" in keywords:
        content["row_batch_index_"] = _integers([keywords["row_batch_index"]])[0]
    if "global_" in keywords:
        content["global"] = bool(keywords["global_"])
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _integers(values: Any) -> list[int]:
    try:
        return [operator.index(v) for v in values]
    except TypeError:
        raise TypeErrorException(
            f"the place of a partition is made of integers: {values!r}"
        ) from None
