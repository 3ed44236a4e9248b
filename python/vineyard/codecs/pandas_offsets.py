# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Frequencies: the offsets of pandas, such as a business day or two months.

An offset is what its class is called with: ``class_`` (its name in `pandas.offsets`), ``n_``,
``normalize_``, and ``keywords_`` for what only that class has (``weekday``, ``holidays`` …). The
frequency of an index is written shorter, as pandas writes it (``"2h"``), where that means the very
same.

>>> import pandas as pd
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(pd.offsets.Week(2, weekday=4))
>>> decode(typename, metadata, buffers)
<2 * Weeks: weekday=4>
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.tseries.frequencies import to_offset

from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes

#: The classes that can be called; the others there only exist to be derived from.
_CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in map(pd.offsets.__dict__.get, pd.offsets.__all__)
    if cls is not pd.offsets.BaseOffset and cls is not pd.offsets.Tick
}


@encodes(*_CLASSES.values())
def _offset_node(encoder: Encoder, offset: Any) -> Node:
    keywords = _keywords_of(offset)
    if not _makes(offset, keywords):
        return encode_pickle(encoder, offset)
    return {
        "codec": "pandas.offset",
        "class_": type(offset).__name__,
        "n_": offset.n,
        "normalize_": bool(offset.normalize),
        "keywords_": {name: encoder.node(value) for name, value in keywords.items()},
    }


def _keywords_of(offset: Any) -> dict[str, Any]:
    """What the class is called with besides n and normalize."""
    keywords = dict(offset.kwds)
    keywords.pop("calendar", None)  # numpy's, made of the weekmask and the holidays
    if not keywords.get("offset", True):
        del keywords["offset"]  # no time: what every class takes that knows the word
    return keywords


def _makes(offset: Any, keywords: dict[str, Any]) -> bool:
    """Whether the class, called with these, gives the same offset."""
    try:
        made = type(offset)(offset.n, offset.normalize, **keywords)
        return bool(made == offset) and _calendar_of(made) == _calendar_of(offset)
    except (TypeError, ValueError):
        return False


def _calendar_of(offset: Any) -> tuple[bytes, bytes] | None:
    calendar = getattr(offset, "calendar", None)
    if calendar is None:
        return None
    return calendar.weekmask.tobytes(), calendar.holidays.tobytes()


@decodes("pandas.offset")
def _decode_offset(decoder: Decoder, node: dict[str, Any]) -> Any:
    cls = _CLASSES.get(decoder.need(node, "class_", str))
    if cls is None:
        corrupted(f"pandas has no offset {node['class_'][:40]!r}")
    keywords = {k: decoder.value(v) for k, v in decoder.need(node, "keywords_", dict).items()}
    n = decoder.need_int(node, "n_", -(2**63), 2**63 - 1)
    return cls(n, decoder.need(node, "normalize_", bool), **keywords)


def freq_node(encoder: Encoder, freq: Any) -> Node:
    """The frequency of an index: its text, where that means the very same."""
    if freq is None:
        return None
    try:
        meant = to_offset(freq.freqstr)
        if type(meant) is type(freq) and meant == freq and _calendar_of(freq) is None:
            return str(freq.freqstr)
    except ValueError:
        pass
    return encoder.node(freq)


def freq_of(decoder: Decoder, node: dict[str, Any]) -> Any:
    """The reverse of `freq_node`, for the key ``freq_``."""
    freq = decoder.value(node.get("freq_"))
    if type(freq) is str:
        try:
            freq = to_offset(freq)
        except (ValueError, KeyError) as error:
            corrupted(f"frequency {freq[:40]!r}: {error}")
    if freq is not None and not isinstance(freq, pd.offsets.BaseOffset):
        corrupted(f"a frequency that is a {type(freq).__name__}")
    return freq
