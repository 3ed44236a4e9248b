# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""An object as it is stored, short of the value it stands for.

* `metadata`: ObjectMeta, with `values` (what a key may hold) and `usage` (bytes of it and its members)
* `object`: Object
* `names`: ObjectName
* `members`: an object inside of a list, tuple or dict
"""

from vineyard.objects import members as members  # registers their codec
from vineyard.objects.metadata import BLOBS_KEY, ObjectMeta
from vineyard.objects.names import ObjectName
from vineyard.objects.object import Object

__all__ = ["BLOBS_KEY", "Object", "ObjectMeta", "ObjectName"]
