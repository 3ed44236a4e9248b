# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Row counts and byte sizes, read from and written for people."""

from __future__ import annotations

import re

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse_count(text: str) -> int:
    """Read a positive count such as ``336776``, ``500k``, ``1.5M`` or ``1_000_000``.

    Raises
    ------
    ValueError
        If `text` is no positive count.

    Examples
    --------
    >>> parse_count("1.5M")
    1500000
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)", text.strip().replace("_", "").lower())
    count = round(float(match[1]) * _FACTORS[match[2]]) if match else 0
    if count < 1:
        raise ValueError(f"{text!r} is not a positive count (like 336776, 500k or 1.5M)")
    return count


def format_bytes(count: float) -> str:
    """Write `count` bytes in decimal units.

    Examples
    --------
    >>> format_bytes(1_990_000_000)
    '1.99 GB'
    >>> format_bytes(350_000)
    '0.35 MB'
    """
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def format_seconds(seconds: float) -> str:
    """Write a duration with three digits that mean something.

    Examples
    --------
    >>> format_seconds(12.345), format_seconds(0.0123), format_seconds(0.000456)
    ('12.3 s', '12.3 ms', '0.46 ms')
    """
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    millis = seconds * 1e3
    return (
        f"{millis:.0f} ms"
        if millis >= 100
        else f"{millis:.1f} ms"
        if millis >= 10
        else (f"{millis:.2f} ms")
    )
