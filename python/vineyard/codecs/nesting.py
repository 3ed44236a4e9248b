# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values nested more deeply than functions may call one another.

A tree of nodes is written and read by recursion, so its depth is bounded (`MAX_DEPTH`). Of a value
that is deeper, parts at every `CUT` levels are written first, the innermost before the others, and
the rest refers to them: ``{"codec": "deep", "parts_": [node, ...], "value_": node}``. Read one
after another, no part needs a deep call.

>>> from vineyard.codecs import decode, encode
>>> value = "core"
>>> for _ in range(5000):
...     value = [value]
>>> typename, metadata, buffers, _ = encode(value)
>>> back = decode(typename, metadata, [bytes(b) for b in buffers])
>>> for _ in range(5000):
...     (back,) = back
>>> back
'core'
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from vineyard.codecs.tree import (
    MAX_DEPTH,
    Decoder,
    Encoder,
    Node,
    TooDeepError,
    decodes,
    refuse,
)

#: Levels between two cuts; what is between may itself take a few.
CUT = MAX_DEPTH // 2


_E = TypeVar("_E", bound=Encoder)


def encode_root(make: Callable[[], _E], value: Any) -> tuple[_E, Node]:
    """The node of a whole value, however deep, and the encoder that has its buffers.

    Raises
    ------
    TypeErrorException
        It is nested deeply in other ways than by containers and attributes.
    """
    encoder = make()
    try:
        return encoder, encoder.node(value)
    except TooDeepError:
        if encoder.custom is not None:
            refuse(
                value, f"it is nested more than {MAX_DEPTH} levels deep, and has parts by builders"
            )
    encoder = make()
    try:
        parts = [encoder.named_node(part) for part in _cuts(value)]
        return encoder, {"codec": "deep", "parts_": parts, "value_": encoder.node(value)}
    except TooDeepError:
        refuse(
            value,
            f"it is nested more than {MAX_DEPTH} levels deep in ways other than lists, tuples, dicts "
            "and attributes of dataclasses: store its parts one by one, and their ids",
        )


def _cuts(value: Any) -> Iterator[Any]:
    """Containers within the value, the innermost first, so that at most `CUT` levels lie between them."""
    heights: dict[int, int] = {id(value): 0}  # of those met; of cut ones 0
    path: list[tuple[Any, Iterator[Any]]] = [(value, _parts(value))]
    while path:
        whole, parts = path[-1]
        for part in parts:
            if id(part) in heights:
                heights[id(whole)] = max(heights[id(whole)], heights[id(part)] + 1)
            elif _is_container(part):
                heights[id(part)] = 0
                path.append((part, _parts(part)))
                break
        else:
            path.pop()
            if not path:
                return
            if heights[id(whole)] >= CUT:
                heights[id(whole)] = 0
                yield whole
            above = id(path[-1][0])
            heights[above] = max(heights[above], heights[id(whole)] + 1)


_CONTAINERS = (list, tuple, dict, deque)


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS) or hasattr(type(value), "__dataclass_fields__")


def _parts(value: Any) -> Iterator[Any]:
    """What may be nested in a value. Not what is hashed: reading that takes recursion anyway."""
    if isinstance(value, dict):
        return iter(list(dict.values(value)))
    if isinstance(value, _CONTAINERS):
        return iter(list(value))
    fields = getattr(type(value), "__dataclass_fields__", ())
    return iter([getattr(value, name, None) for name in fields])


@decodes("deep")
def _decode_deep(decoder: Decoder, node: dict[str, Any]) -> Any:
    for part in decoder.need(node, "parts_", list):
        decoder.value(part)  # is referred to from now on
    return decoder.value(node.get("value_"))
