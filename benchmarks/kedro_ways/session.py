# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""All runs of the benchmark: at each scale, in each round, all ways in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kedro_ways.project import Project, Times
from kedro_ways.ways import Way


@dataclass
class Found:
    """What was found.

    Attributes
    ----------
    times : dict
        Of each scale and way, the times of each round.
    digests : dict
        Of each scale, way and table: what the table's content comes to.
    unequal : list of str
        What two ways, or two rounds, do not have in common.
    """

    times: dict[int, dict[str, list[Times]]] = field(default_factory=dict)
    digests: dict[int, dict[str, dict[str, str]]] = field(default_factory=dict)
    unequal: list[str] = field(default_factory=list)


def warm_up(project: Project, ways: list[Way], say: Callable[[str], None]) -> None:
    """Run the nodes once in each way, and count nothing.

    Python compiles what it then keeps; and what a way imports only when it meets a table is told to the later runs, which
    import it before anything is timed.
    """
    for way in ways:
        say(f"{way.title}: once to begin with")
        times, _ = _run(project, way, 1, "begin")
        way.variables["MLOPS_IMPORTS"] = ",".join(sorted(times.imported))


def measure(
    project: Project, ways: list[Way], scales: list[int], rounds: int, say: Callable[[str], None]
) -> Found:
    """Run the nodes so often, in each way and at each scale."""
    found = Found({scale: {way.name: [] for way in ways} for scale in scales})
    for number in range(rounds):
        for scale in scales:
            for way in turns(ways, number):
                times, digests = _run(project, way, scale, f"{number}-{scale}")
                found.times[scale][way.name].append(times)
                _compare(found, scale, way.name, digests)
                say(
                    f"round {number + 1}, scale {scale}, {way.title}: {times.sum:.2f} s, "
                    f"{times.handing_over:.3f} s of it handing over"
                )
    return found


def turns(ways: list[Way], number: int) -> list[Way]:
    """Return the ways in the order of a round: each is first as often as the others."""
    first = number % len(ways)
    return ways[first:] + ways[:first]


def _run(project: Project, way: Way, scale: int, run: str) -> tuple[Times, dict[str, str]]:
    variables = way.variables | {"VINEYARD_RUN_ID": f"bench-{run}"}
    try:
        times = project.run(way.name, scale, variables)
        return times, project.digests(way.name, variables)
    finally:
        way.forget()


def _compare(found: Found, scale: int, way: str, digests: dict[str, str]) -> None:
    """Note where a table is not what it was in the run that came first at this scale."""
    seen = found.digests.setdefault(scale, {})
    first_way, first = next(iter(seen.items()), (way, digests))
    for table, digest in digests.items():
        if first[table] != digest:
            found.unequal.append(
                f"{table} at scale {scale} is another by {way} than it was by {first_way}"
            )
    seen.setdefault(way, digests)
