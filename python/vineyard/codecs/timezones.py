# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Time zones, by what defines them: a name of the tz database, or an offset.

>>> import datetime
>>> from vineyard.codecs.tree import Decoder, Encoder
>>> encode_zone(Encoder(), datetime.timezone.utc)
{'codec': 'zone', 'kind_': 'utc'}
>>> decode_zone(Decoder([]), {"kind_": "zoneinfo", "key_": "Europe/Berlin"})
zoneinfo.ZoneInfo(key='Europe/Berlin')
"""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, type_name


def encode_zone(encoder: Encoder, zone: datetime.tzinfo | None) -> Node:
    """The node of a time zone; of kinds not listed here, by pickle."""
    if zone is None:
        return None
    if zone is datetime.UTC:
        return {"codec": "zone", "kind_": "utc"}
    if type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        return {"codec": "zone", "kind_": "zoneinfo", "key_": zone.key}
    if type(zone) is datetime.timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        microseconds = offset // datetime.timedelta(microseconds=1)
        node = {"codec": "zone", "kind_": "offset", "microseconds_": microseconds}
        return {**node, "name_": encoder.node(name[0])} if name else node
    if type_name(type(zone)).startswith("pytz.") and getattr(zone, "zone", None):
        return {"codec": "zone", "kind_": "pytz", "key_": zone.zone}  # type: ignore[attr-defined]
    from vineyard.codecs.pickled import encode_pickle

    return encode_pickle(encoder, zone)


@decodes("zone")
def decode_zone(decoder: Decoder, node: dict[str, Any]) -> datetime.tzinfo:
    """The reverse of `encode_zone`."""
    kind = node.get("kind_")
    if kind == "utc":
        return datetime.UTC
    if kind == "offset":
        limit = 24 * 3600 * 10**6
        microseconds = decoder.need_int(node, "microseconds_", 1 - limit, limit - 1)
        offset = datetime.timedelta(microseconds=microseconds)
        if "name_" not in node:
            return datetime.timezone(offset)
        name = decoder.value(node["name_"])
        if type(name) is not str:
            corrupted("a time zone's name is no text")
        return datetime.timezone(offset, name)
    key = decoder.need(node, "key_", str)
    try:
        if kind == "zoneinfo":
            return zoneinfo.ZoneInfo(key)
        if kind == "pytz":
            import pytz  # type: ignore[import-untyped,unused-ignore]

            return pytz.timezone(key)  # type: ignore[no-any-return,unused-ignore]
    except (KeyError, ValueError, OSError) as error:
        corrupted(f"time zone {key[:60]!r} is not known on this machine: {error!r}")
    corrupted(f"a time zone of kind {str(kind)[:20]!r}")


def zone_of(decoder: Decoder, node: dict[str, Any]) -> datetime.tzinfo | None:
    """The time zone that is the value of ``node["zone_"]``."""
    zone = decoder.value(node.get("zone_"))
    if zone is not None and not isinstance(zone, datetime.tzinfo):
        corrupted(f"a time zone that is a {type(zone).__name__}")
    return zone
