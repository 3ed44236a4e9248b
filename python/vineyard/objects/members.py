# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Inside of a list, tuple or dict an object stands for the value that it holds."""

from __future__ import annotations

from typing import Any

from vineyard._core import ObjectID
from vineyard.codecs.tree import (
    Decoder,
    Encoder,
    MemberFailedError,
    Node,
    corrupted,
    decodes,
    encodes,
    refuse,
)
from vineyard.objects.metadata import ObjectMeta
from vineyard.objects.object import Object


@encodes(ObjectID, ObjectMeta, Object)
def _member_node(encoder: Encoder, value: Any) -> Node:
    ref = value if isinstance(value, ObjectID) else value.id
    if ref == ObjectID():
        refuse(value, "it stands for an object that is not stored yet")
    key = f"__elements_-{len(encoder.members)}"
    encoder.members[key] = ref
    return {"codec": "member", "key_": key}


@decodes("member")
def _decode_member(decoder: Decoder, node: dict[str, Any]) -> Any:
    if decoder.member is None:
        corrupted("a member of an object without members")
    key = decoder.need(node, "key_", str)
    try:
        return decoder.member(key)
    except Exception as error:  # of a resolver, for example
        raise MemberFailedError from error
