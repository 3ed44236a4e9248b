# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Time zones, by what defines them: a name of the tz database, or an offset.

Of the zones of a database only the name is stored, so they mean what the machine that reads them
has in its database; a name that is not in it is an error that says so. Known are those of
``datetime``, ``zoneinfo``, ``pytz`` and ``dateutil``; others are pickled.

>>> import datetime
>>> from vineyard.codecs.tree import Decoder, Encoder
>>> encode_zone(Encoder(), datetime.timezone.utc)
{'codec': 'zone', 'kind_': 'utc'}
>>> decode_zone(Decoder([]), {"kind_": "zoneinfo", "key_": "Europe/Berlin"})
zoneinfo.ZoneInfo(key='Europe/Berlin')
"""

from __future__ import annotations

import datetime
import pickle
import re
import zoneinfo
from typing import Any

from vineyard.codecs.tree import (
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    recognises,
    refuse,
)
from vineyard.errors import NotAvailableHereException

_KEY = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_DAY = 24 * 3600


def encode_zone(encoder: Encoder, zone: datetime.tzinfo | None) -> Node:
    """The node of a time zone; of kinds not listed here, by pickle."""
    if zone is None:
        return None
    if zone is datetime.UTC:
        return {"codec": "zone", "kind_": "utc"}
    if type(zone) is zoneinfo.ZoneInfo:
        return _zoneinfo_node(zone)
    if type(zone) is datetime.timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        return _offset_node(encoder, "offset", offset, *name)
    library = type(zone).__module__.partition(".")[0]
    node = None
    if library == "pytz":
        node = _pytz_node(zone)
    elif library == "dateutil":
        node = _dateutil_node(encoder, zone)
    if node is not None:
        return node
    from vineyard.codecs.pickled import encode_pickle

    return encode_pickle(encoder, zone)


@recognises
def _encoder_of_zones(t: type) -> Any:
    return encode_zone if issubclass(t, datetime.tzinfo) else None


def _offset_node(
    encoder: Encoder, kind: str, offset: datetime.timedelta, name: str | None = None
) -> Node:
    microseconds = offset // datetime.timedelta(microseconds=1)
    node = {"codec": "zone", "kind_": kind, "microseconds_": microseconds}
    return node if name is None else {**node, "name_": encoder.node(name)}


def _zoneinfo_node(zone: zoneinfo.ZoneInfo) -> Node:
    try:
        arguments: Any = zone.__reduce__()[1]
    except pickle.PicklingError:
        refuse(zone, "it was made from a file, and only names of the tz database can be stored")
    key, cached = arguments
    if not _KEY.fullmatch(key):
        refuse(zone, f"{key[:60]!r} is no name of the tz database")
    node = {"codec": "zone", "kind_": "zoneinfo", "key_": key}
    return node if cached else {**node, "cached_": False}


def _pytz_node(zone: Any) -> Node:
    import pytz

    if zone is pytz.UTC:
        return {"codec": "zone", "kind_": "pytz", "key_": "UTC"}
    _, arguments = zone.__reduce__()
    if type(zone) is type(pytz.FixedOffset(1)):
        return {"codec": "zone", "kind_": "pytz.offset", "minutes_": arguments[0]}
    key = getattr(zone, "zone", None)
    if key not in pytz.all_timezones_set:
        return None
    node = {"codec": "zone", "kind_": "pytz", "key_": key}
    if zone is pytz.timezone(key):
        return node
    # One of the zone's periods, as `localize` chooses them: offset and saving in seconds, name.
    return {**node, "period_": list(arguments[1:])}


def _dateutil_node(encoder: Encoder, zone: Any) -> Node:
    from dateutil import tz

    if type(zone) is tz.tzutc:
        return {"codec": "zone", "kind_": "dateutil.utc"}
    if type(zone) is tz.tzlocal:
        return {"codec": "zone", "kind_": "dateutil.local"}
    if type(zone) is tz.tzoffset:
        return _offset_node(encoder, "dateutil.offset", zone._offset, zone._name)
    if type(zone) is tz.tzfile:
        named = str(getattr(zone, "_key", None) or zone._filename).partition("zoneinfo/")
        key = named[2] or named[0]
        if _KEY.fullmatch(key) and type(found := tz.gettz(key)) is tz.tzfile and found == zone:
            return {"codec": "zone", "kind_": "dateutil", "key_": key}
    return None


@decodes("zone")
def decode_zone(decoder: Decoder, node: dict[str, Any]) -> datetime.tzinfo:
    """The reverse of `encode_zone`.

    Raises
    ------
    NotAvailableHereException
        The machine's tz database does not have the zone.
    ImportError
        It is a zone of a package that is not installed.
    """
    kind = node.get("kind_")
    if kind == "utc":
        return datetime.UTC
    if kind == "offset":
        return datetime.timezone(*_offset_of(decoder, node))
    if kind == "zoneinfo":
        key = _key_of(decoder, node)
        try:
            if node.get("cached_", True):
                return zoneinfo.ZoneInfo(key)
            return zoneinfo.ZoneInfo.no_cache(key)
        except (KeyError, ValueError, OSError) as error:
            raise _unknown(key, "update the tz database, or: pip install tzdata") from error
    if kind in ("pytz", "pytz.offset"):
        return _pytz_of(decoder, node)  # type: ignore[no-any-return]
    if type(kind) is str and kind.startswith("dateutil"):
        return _dateutil_of(decoder, node, kind)  # type: ignore[no-any-return]
    corrupted(f"a time zone of kind {str(kind)[:20]!r}")


def _key_of(decoder: Decoder, node: dict[str, Any]) -> str:
    key: str = decoder.need(node, "key_", str)
    if not _KEY.fullmatch(key):
        corrupted(f"{key[:60]!r} is no name of a time zone")
    return key


def _unknown(key: str, what_to_do: str) -> NotAvailableHereException:
    return NotAvailableHereException(
        f"time zone {key[:60]!r} is not known on this machine: {what_to_do}"
    )


def _offset_of(decoder: Decoder, node: dict[str, Any]) -> tuple[Any, ...]:
    """timedelta and, where there is one, name."""
    limit = _DAY * 10**6
    microseconds = decoder.need_int(node, "microseconds_", 1 - limit, limit - 1)
    offset = datetime.timedelta(microseconds=microseconds)
    if "name_" not in node:
        return (offset,)
    name = decoder.value(node["name_"])
    if type(name) is not str:
        corrupted("a time zone's name is no text")
    return offset, name


def _pytz_of(decoder: Decoder, node: dict[str, Any]) -> Any:
    try:
        import pytz
    except ImportError as error:
        raise ImportError("this value needs the package 'pytz': pip install pytz") from error

    if "minutes_" in node:
        return pytz.FixedOffset(decoder.need_int(node, "minutes_", -1439, 1439))
    key = _key_of(decoder, node)
    try:
        zone: Any = pytz.timezone(key)
    except pytz.UnknownTimeZoneError as error:
        raise _unknown(key, "update pytz") from error
    if "period_" not in node:
        return zone
    period = decoder.need(node, "period_", list)
    if [type(p) for p in period] != [int, int, str] or max(map(abs, period[:2])) > _DAY:
        corrupted("a period of a time zone is no two numbers and a text")
    seconds = [datetime.timedelta(seconds=s) for s in period[:2]]
    try:
        return zone._tzinfos[(*seconds, period[2])]
    except (AttributeError, KeyError) as error:
        raise _unknown(f"{key}, {period[2]}", "update pytz") from error


def _dateutil_of(decoder: Decoder, node: dict[str, Any], kind: str) -> Any:
    try:
        from dateutil import tz
    except ImportError as error:
        message = "this value needs the package 'dateutil': pip install python-dateutil"
        raise ImportError(message) from error

    if kind == "dateutil.utc":
        return tz.tzutc()
    if kind == "dateutil.local":
        return tz.tzlocal()
    if kind == "dateutil.offset":
        offset, *name = _offset_of(decoder, node)
        return tz.tzoffset(name[0] if name else None, offset)
    if kind != "dateutil":
        corrupted(f"a time zone of kind {kind[:20]!r}")
    key = _key_of(decoder, node)
    zone = tz.gettz(key)
    if type(zone) is not tz.tzfile:
        raise _unknown(key, "update the tz database")
    return zone


def zone_of(decoder: Decoder, node: dict[str, Any]) -> datetime.tzinfo | None:
    """The time zone that is the value of ``node["zone_"]``."""
    zone = decoder.value(node.get("zone_"))
    if zone is not None and not isinstance(zone, datetime.tzinfo):
        corrupted(f"a time zone that is a {type(zone).__name__}")
    return zone
