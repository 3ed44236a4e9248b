# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The calls of `vineyard.Client`, by what they are about; the client inherits them all.

* `objects`: descriptions, composition, deleting, listing, labels
* `names`
* `blobs`
* `parts`: values larger than the memory
* `building`: puts that builders take part in
* `places`: in memory, or on the disk
* `seeing`: who holds the memory, what waits, what is slow
* `elsewhere`: what means nothing on one instance, and what needs several
"""
