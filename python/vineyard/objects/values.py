# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a key of metadata may hold: what JSON has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from vineyard.errors import InvalidException


class _JsonText(str):
    """The JSON text of a list or dict of metadata. Set as the value of a key, it is that list or dict
    again, so that metadata can be copied key by key."""

    __slots__ = ()


def to_read(value: Any) -> Any:
    """A stored value as programs read it: of a list or dict, its JSON text."""
    return _JsonText(json.dumps(value)) if isinstance(value, (list, dict)) else value


def to_keep(key: str, value: Any) -> Any:
    """The value to store for `key`; InvalidException where JSON has none like it."""
    if isinstance(value, (set, tuple)):
        value = list(value)
    elif isinstance(value, _JsonText):
        value = json.loads(value)
    elif isinstance(value, np.generic):
        value = value.item()
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidException(f"metadata key {key!r}: {error}") from None
    return value
