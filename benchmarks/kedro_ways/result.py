# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a run found, as it goes into the JSON::

schema      text: this explanation
when        when the run began (UTC)
commit      of the sources, with "+" if they were changed
machine     facts of the machine (see side_by_side/machine.py)
settings    quick, rounds, size of the instance
ways        name -> title, settings
scales      scale -> way -> measure -> {"median", "q1", "q3", "min", "max", "rounds", …} of seconds:
  sum           of the five nodes' times, each from its first load to the end of its last save
  handing_over  inside load and save of the tables that are handed over
  load, save    its two parts
  connect       of the five processes: before the first load, having the store say whether the tables
                    are there, and importing what it is known to import later
  start         of the five processes: all the rest; the interpreter, imports, and Kedro's own
nodes       scale -> way -> node -> {"node", "load", "save"}, medians of seconds
digests     scale -> way -> table -> digest of its content
unequal     list of text: where a way has another content than another way
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from side_by_side import machine
from side_by_side.peers.peer import ROOT
from side_by_side.result import cell, commit_of

from kedro_ways.project import Times
from kedro_ways.session import Found
from kedro_ways.ways import Way

MEASURES = {
    "sum": lambda times: times.sum,
    "handing_over": lambda times: times.handing_over,
    "load": lambda times: sum(times.load.values()),
    "save": lambda times: sum(times.save.values()),
    "connect": lambda times: times.connect,
    "start": lambda times: times.start,
}


def begin(quick: bool, rounds: int, size: str, ways: list[Way]) -> dict[str, Any]:
    """Return what is known before anything is measured."""
    return {
        "schema": __doc__,
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "commit": commit_of(ROOT),
        "machine": machine.facts(),
        "settings": {"quick": quick, "rounds": rounds, "size": size},
        "ways": {way.name: {"title": way.title, "settings": way.settings} for way in ways},
    }


def of(found: Found) -> dict[str, Any]:
    """Return the rest."""
    return {
        "scales": {
            str(scale): {way: _measures(rounds) for way, rounds in ways.items()}
            for scale, ways in found.times.items()
        },
        "nodes": {
            str(scale): {way: _nodes(rounds) for way, rounds in ways.items()}
            for scale, ways in found.times.items()
        },
        "digests": {str(scale): ways for scale, ways in found.digests.items()},
        "unequal": found.unequal,
    }


def _measures(rounds: list[Times]) -> dict[str, Any]:
    return {
        name: cell([[measure(times)] for times in rounds], True)
        for name, measure in MEASURES.items()
    }


def _nodes(rounds: list[Times]) -> dict[str, dict[str, float]]:
    return {
        node: {
            "node": statistics.median(times.nodes[node] for times in rounds),
            "load": statistics.median(times.load[node] for times in rounds),
            "save": statistics.median(times.save[node] for times in rounds),
        }
        for node in rounds[0].nodes
    }
