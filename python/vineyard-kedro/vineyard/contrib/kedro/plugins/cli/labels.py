# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names as Kubernetes takes them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

#: Characters of a label of RFC 1123.
LONGEST = 63
_DIGEST = 8


def label(name: str, longest: int = LONGEST) -> str:
    """Return a name as a label: small letters, digits and dashes, beginning with a letter.

    What is too long, or has no letter in common with it, gets a hash of the whole name.

    Examples
    --------
    >>> label("data_science.Train")
    'data-science-train'
    >>> label("x" * 200)
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-aa20c23e'
    """
    cleaned = _clean(name)
    if cleaned and len(cleaned) <= longest:
        return cleaned
    return _with_digest(cleaned, name, longest)


def labels(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a label for each name, all different, and different from those that are taken.

    Those that would be the same get a hash of the whole name, each of them: what one is called does not depend on
    which others come before it.

    Examples
    --------
    >>> labels(["a.b", "c"])
    {'a.b': 'a-b', 'c': 'c'}
    >>> labels(["a.b", "a_b"])
    {'a.b': 'a-b-2e7336dc', 'a_b': 'a-b-648fa9b3'}
    """
    names = list(dict.fromkeys(names))
    found = {name: label(name) for name in names}
    often = Counter(found.values()) + Counter(taken)
    return {
        name: one if often[one] == 1 else _with_digest(_clean(name), name, LONGEST)
        for name, one in found.items()
    }


def _clean(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    cleaned = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return f"n-{cleaned}" if cleaned[:1].isdigit() else cleaned


def _with_digest(cleaned: str, name: str, longest: int) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    cut = (cleaned or "n")[: longest - _DIGEST - 1].rstrip("-")
    return f"{cut}-{digest}"
