# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names under which older programs import what belongs to types of values.

How values are stored is in `vineyard.codecs`; builders and resolvers of a program's own are in
`vineyard.contexts`.
"""
