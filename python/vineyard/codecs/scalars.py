# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""None, bool, int, float, complex, str and bytes.

Alone they are objects of their own (`encode_...`, called for the value of a put), small ones wholly
in the metadata: ``{"codec": "int", "version": 1, "type_": "int", "value_": 7}``. Inside of other
values they are plain JSON where JSON holds them exactly.
"""

from __future__ import annotations

import math
import struct
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from vineyard.codecs.tree import (
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
)

#: Longest text (in characters) and bytes that stand in the tree; longer ones get a buffer.
INLINE_TEXT = 1024
INLINE_BYTES = 128

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Encoded = tuple[str, str, list[Any], "dict[str, Any] | None"]


# ---- as the value of a put: (typename, metadata, buffers, members)

_NONE: Encoded = ("vineyard::Scalar<void>", '{"codec":"none","version":1}', [], None)
_BOOLS = {
    b: (
        "vineyard::Scalar<bool>",
        f'{{"codec":"bool","version":1,"type_":"bool","value_":{t}}}',
    )
    for b, t in ((True, "true"), (False, "false"))
}
BYTES_TYPE = "vineyard::Bytes"
BYTES_META = '{"codec":"bytes","version":1,"buffer":0}'
STR_TYPE = "vineyard::Scalar<std::string>"
_STR_HEAD = '{"codec":"str","version":1,"type_":"std::string","value_":'
_STR_BUFFER = '{"codec":"str","version":1,"type_":"std::string","buffer":0}'
INT_TYPE = "vineyard::Scalar<int>"
_INT_HEAD = '{"codec":"int","version":1,"type_":"int","value_":'
FLOAT_TYPE = "vineyard::Scalar<double>"
_FLOAT_HEAD = '{"codec":"float","version":1,"type_":"double","value_":'


def encode_none(value: None) -> Encoded:
    return _NONE


def encode_bool(value: bool) -> Encoded:
    typename, metadata = _BOOLS[value]
    return typename, metadata, [], None


def encode_int(value: int) -> Encoded:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return INT_TYPE, f"{_INT_HEAD}{value}}}", [], None
    if INT64_MIN <= value <= INT64_MAX:
        head = '{"codec":"int","version":1,"type_":"int64","value_":'
        return "vineyard::Scalar<int64>", f"{head}{value}}}", [], None
    metadata = f'{{"codec":"int","version":1,"type_":"bigint","hex_":"{value:x}"}}'
    if len(metadata) <= INLINE_TEXT:
        return "vineyard::Scalar<bigint>", metadata, [], None
    metadata = '{"codec":"int","version":1,"type_":"bigint","buffer":0}'
    return "vineyard::Scalar<bigint>", metadata, [_int_bytes(value)], None


def encode_float(value: float) -> Encoded:
    if value - value == 0.0:  # finite
        return FLOAT_TYPE, f"{_FLOAT_HEAD}{value!r}}}", [], None
    head = '{"codec":"float","version":1,"type_":"double","bits_":'
    return FLOAT_TYPE, f'{head}"{_bits(value)}"}}', [], None


def encode_str(value: str) -> Encoded:
    if len(value) <= INLINE_TEXT and _is_text(value):
        return STR_TYPE, f"{_STR_HEAD}{quote(value)}}}", [], None
    return STR_TYPE, _STR_BUFFER, [value.encode("utf-8", "surrogatepass")], None


def encode_bytes(value: bytes) -> Encoded:
    return BYTES_TYPE, BYTES_META, [value], None


def _is_text(value: str) -> bool:
    """True without lone surrogates, which JSON could not give back as they were."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bits(value: float) -> str:
    return struct.pack(">d", value).hex()


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


# ---- as a part of another value


@encodes(type(None), bool, atom=True)
def _plain_node(encoder: Encoder, value: Any) -> Node:
    return value


@encodes(int, atom=True)
def _int_node(encoder: Encoder, value: int) -> Node:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    return {"codec": "int", "buffer": encoder.buffer(_int_bytes(value))}


@encodes(float, atom=True)
def _float_node(encoder: Encoder, value: float) -> Node:
    if value - value == 0.0:
        return value
    return {"codec": "float", "bits_": _bits(value)}


@encodes(complex, atom=True)
def _complex_node(encoder: Encoder, value: complex) -> Node:
    return {"codec": "complex", "bits_": _bits(value.real) + _bits(value.imag)}


@encodes(str, atom=True)
def str_node(encoder: Encoder, value: str) -> Node:
    if len(value) <= INLINE_TEXT and _is_text(value):
        return value
    return {"codec": "str", "buffer": encoder.buffer(value.encode("utf-8", "surrogatepass"))}


@encodes(bytes)
def _bytes_node(encoder: Encoder, value: bytes) -> Node:
    if len(value) <= INLINE_BYTES:
        return {"codec": "bytes", "hex_": value.hex()}
    return {"codec": "bytes", "buffer": encoder.buffer(value)}


@encodes(bytearray)
def _bytearray_node(encoder: Encoder, value: bytearray) -> Node:
    return {"codec": "bytearray", "buffer": encoder.buffer(memoryview(value))}


@encodes(type(...), atom=True)
def _ellipsis_node(encoder: Encoder, value: Any) -> Node:
    return {"codec": "ellipsis"}


# ---- back


@decodes("none")
def _decode_none(decoder: Decoder, node: dict[str, Any]) -> None:
    return None


@decodes("ellipsis")
def _decode_ellipsis(decoder: Decoder, node: dict[str, Any]) -> Any:
    return ...


@decodes("bool")
def _decode_bool(decoder: Decoder, node: dict[str, Any]) -> bool:
    return bool(decoder.need(node, "value_", bool))


@decodes("int")
def _decode_int(decoder: Decoder, node: dict[str, Any]) -> int:
    if "buffer" in node:
        return int.from_bytes(decoder.need_buffer(node), "little", signed=True)
    if "hex_" in node:
        return _from_hex(decoder.need(node, "hex_", str))
    return decoder.need_int(node, "value_")


def _from_hex(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        corrupted(f"{text[:40]!r} is no integer")


@decodes("float")
def _decode_float(decoder: Decoder, node: dict[str, Any]) -> float:
    if "bits_" in node:
        return _from_bits(decoder.need(node, "bits_", str), 1)[0]
    value = decoder.need(node, "value_", (float, int))
    try:
        return float(value)
    except OverflowError:
        corrupted("a float is out of range")


def _from_bits(text: str, count: int) -> tuple[float, ...]:
    try:
        return struct.unpack(f">{count}d", bytes.fromhex(text))
    except (ValueError, struct.error):
        corrupted(f"{text[:40]!r} is no float")


@decodes("complex")
def _decode_complex(decoder: Decoder, node: dict[str, Any]) -> complex:
    return complex(*_from_bits(decoder.need(node, "bits_", str), 2))


@decodes("str")
def _decode_str(decoder: Decoder, node: dict[str, Any]) -> str:
    if "buffer" in node:
        return text_of(decoder.need_buffer(node))
    return str(decoder.need(node, "value_", str))


def text_of(buffer: Any) -> str:
    """The text whose UTF-8 (lone surrogates passed through) a buffer holds."""
    try:
        return str(buffer, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        corrupted(f"its text is not UTF-8: {error}")


@decodes("bytes")
def _decode_bytes(decoder: Decoder, node: dict[str, Any]) -> bytes:
    if "hex_" not in node:
        return bytes(decoder.need_buffer(node))
    try:
        return bytes.fromhex(decoder.need(node, "hex_", str))
    except ValueError:
        corrupted("its bytes are not written in hexadecimal")


@decodes("bytearray")
def _decode_bytearray(decoder: Decoder, node: dict[str, Any]) -> bytearray:
    return bytearray(decoder.need_buffer(node))


# ---- back, without JSON: what `encode_...` wrote, recognised by its text. None: not recognised.


def fast_bytes(metadata: str, buffers: Any) -> bytes | None:
    if metadata != BYTES_META or len(buffers) != 1:
        return None
    buffer = buffers[0]
    return buffer if type(buffer) is bytes else bytes(buffer)


def fast_int(metadata: str, buffers: Any) -> int | None:
    if not metadata.startswith(_INT_HEAD):
        return None
    try:
        return int(metadata[len(_INT_HEAD) : -1])
    except ValueError:
        return None


def fast_float(metadata: str, buffers: Any) -> float | None:
    if not metadata.startswith(_FLOAT_HEAD):
        return None
    try:
        value = float(metadata[len(_FLOAT_HEAD) : -1])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def fast_str(metadata: str, buffers: Any) -> str | None:
    text = metadata[len(_STR_HEAD) + 1 : -2]
    if (
        metadata.startswith(_STR_HEAD)
        and metadata.endswith('"}')
        and "\\" not in text
        and '"' not in text
    ):
        return text
    return None
