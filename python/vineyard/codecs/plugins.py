# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Codecs that other installed packages bring.

A package that has types with codecs of their own names, as an entry point, the module whose import
registers them (by `vineyard.codecs.tree.encodes` and `decodes`). The entry point's name is the top
package of the types, and what the codecs' names begin with:

.. code:: toml

    [project.entry-points."vineyard.codecs"]
    geometry = "geometry.in_vineyard"

Then a ``geometry.Point`` is stored as a node ``{"codec": "geometry.point", ...}`` wherever it stands.
Nothing is imported before a value or a codec of that package is met.
"""

from __future__ import annotations

import functools

GROUP = "vineyard.codecs"


@functools.cache
def _modules() -> dict[str, str]:
    from importlib.metadata import entry_points  # slow to import, and only needed here

    return {point.name: point.value for point in entry_points(group=GROUP)}


def module_of(package: str) -> str | None:
    """The module that registers the codecs of a package's types, if one is installed."""
    return _modules().get(package)
