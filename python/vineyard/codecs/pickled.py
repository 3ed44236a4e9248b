# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values without a codec of their own: pickle protocol 5, large buffers out of band.

Unpickling runs code that the writer chose, so it can be refused, for puts and gets alike.
"""

from __future__ import annotations

import pickle
from typing import Any

from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, type_name
from vineyard.errors import PickleRefusedException, TypeErrorException, UnpickleException

HOW_TO_ALLOW = (
    "; where all who write to the volume are trusted, connect(pickle=True) or VINEYARD_PICKLE=allow "
    "allows it"
)


def encode_pickle(encoder: Encoder, value: Any, why: str = "it has no codec") -> Node:
    """The node of a value as a pickle.

    Parameters
    ----------
    encoder : Encoder
    value : object
    why : str
        Why it takes a pickle to store it; for the error messages.

    Raises
    ------
    PickleRefusedException
        When the encoder may not pickle.
    TypeErrorException
        When the value can't be pickled.
    """
    name = type_name(type(value))
    if not encoder.pickle:
        raise PickleRefusedException(
            f"can't store a value of type {name}: {why}, and pickle was refused{_advice(value)}{HOW_TO_ALLOW}"
        )
    out_of_band: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=out_of_band.append)
        views = [b.raw() for b in out_of_band]
    except RecursionError:
        raise TypeErrorException(
            f"can't store a value of type {name}: it is nested too deeply for pickle"
        ) from None
    except Exception as error:
        raise TypeErrorException(
            f"can't store a value of type {name}: {why}, and pickle says: {error}{_advice(value)}"
        ) from error
    return {
        "codec": "pickle",
        "type_": name[:200].encode("ascii", "backslashreplace").decode(),
        "size_": len(data),
        "buffer": encoder.buffer(data),
        "buffers": [encoder.buffer(view) for view in views],
    }


def _advice(value: Any) -> str:
    from vineyard.codecs.buffer_values import advice

    return advice(value)


@decodes("pickle")
def _decode_pickle(decoder: Decoder, node: dict[str, Any]) -> Any:
    if not decoder.pickle:
        raise PickleRefusedException(
            f"a value of type {str(node.get('type_'))[:200]} is stored as a pickle, "
            f"and pickle was refused{HOW_TO_ALLOW}"
        )
    data = decoder.need_buffer(node)
    indexes = decoder.need_ints(node, "buffers", 0, max(len(decoder.buffers) - 1, 0))
    if indexes and not decoder.buffers:
        corrupted("a pickle without its buffers")
    try:
        return pickle.loads(
            memoryview(data), buffers=[memoryview(decoder.buffers[i]) for i in indexes]
        )
    except Exception as error:
        raise UnpickleException(
            f"a value of type {str(node.get('type_'))[:200]} is stored as a pickle, which can't be "
            f"loaded here: {type(error).__name__}: {error}"
        ) from error
