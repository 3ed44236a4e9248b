# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What one item of pandas may be: NaT, NA, Timestamp, Timedelta, Period, Interval.

>>> import pandas as pd
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(pd.Timestamp("2020-02-29", tz="Europe/Berlin"))
>>> decode(typename, metadata, buffers)
Timestamp('2020-02-29 00:00:00+0100', tz='Europe/Berlin')
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs import timezones
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes


@encodes(type(pd.NaT), type(pd.NA), atom=True)
def _missing_node(encoder: Encoder, value: Any) -> Node:
    return {"codec": "pandas.missing", "which_": "NaT" if value is pd.NaT else "NA"}


@decodes("pandas.missing")
def _decode_missing(decoder: Decoder, node: dict[str, Any]) -> Any:
    which = node.get("which_")
    if which not in ("NaT", "NA"):
        corrupted(f"a missing value {str(which)[:20]!r}")
    return pd.NaT if which == "NaT" else pd.NA


@encodes(pd.Timestamp)
def _timestamp_node(encoder: Encoder, value: pd.Timestamp) -> Node:
    return {
        "codec": "pandas.timestamp",
        "value_": int(value.asm8.view("i8")),
        "unit_": value.unit,
        "zone_": timezones.encode_zone(encoder, value.tz),
    }


@decodes("pandas.timestamp")
def _decode_timestamp(decoder: Decoder, node: dict[str, Any]) -> pd.Timestamp:
    zone = timezones.zone_of(decoder, node)
    try:
        stamp = pd.Timestamp(np.datetime64(*_moment(decoder, node)))
        if zone is not None:
            stamp = stamp.tz_localize("UTC").tz_convert(zone)
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))
    return stamp


@encodes(pd.Timedelta)
def _delta_node(encoder: Encoder, value: pd.Timedelta) -> Node:
    return {
        "codec": "pandas.delta",
        "value_": int(value.asm8.view("i8")),
        "unit_": value.unit,
    }


@decodes("pandas.delta")
def _decode_delta(decoder: Decoder, node: dict[str, Any]) -> pd.Timedelta:
    try:
        return pd.Timedelta(np.timedelta64(*_moment(decoder, node)))
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))


def _moment(decoder: Decoder, node: dict[str, Any]) -> tuple[int, Any]:
    unit = decoder.need(node, "unit_", str)
    if unit not in ("s", "ms", "us", "ns"):
        corrupted(f"unit {unit[:20]!r}")
    return decoder.need_int(node, "value_", 1 - 2**63, 2**63 - 1), unit


@encodes(pd.Period)
def _period_node(encoder: Encoder, value: pd.Period) -> Node:
    return {"codec": "pandas.one_period", "value_": value.ordinal, "freq_": value.freqstr}


@decodes("pandas.one_period")
def _decode_period(decoder: Decoder, node: dict[str, Any]) -> pd.Period:
    freq = decoder.need(node, "freq_", str)
    try:
        return internals.period(decoder.need_int(node, "value_", 1 - 2**63, 2**63 - 1), freq)
    except (ValueError, TypeError) as error:
        corrupted(str(error))


@encodes(pd.Interval)
def _interval_node(encoder: Encoder, value: Any) -> Node:
    return {
        "codec": "pandas.one_interval",
        "left_": encoder.node(value.left),
        "right_": encoder.node(value.right),
        "closed_": value.closed,
    }


@decodes("pandas.one_interval")
def _decode_interval(decoder: Decoder, node: dict[str, Any]) -> Any:
    left, right = decoder.value(node.get("left_")), decoder.value(node.get("right_"))
    try:
        return pd.Interval(left, right, decoder.need(node, "closed_", str))
    except (ValueError, TypeError) as error:
        corrupted(str(error))
