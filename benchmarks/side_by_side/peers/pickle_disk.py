# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Pickle files on disk: in the page cache, never waited for."""

from __future__ import annotations

from side_by_side.peers import pickle_shm
from side_by_side.peers.peer import ROOT
from side_by_side.peers.pickle_shm import Client as Client


class Server(pickle_shm.Server):
    title = "pickle, disk"
    settings = "protocol 5, a file for each value, no fsync: read from the page cache"
    place = ROOT / "build/bench"
