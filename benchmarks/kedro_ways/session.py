# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""All runs of the benchmark: at each scale, in each round, all ways in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        Where a way has another table than another way.
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
        times = _run(project, way, 1, "begin")
        way.variables["MLOPS_IMPORTS"] = ",".join(sorted(times.imported))


def measure(
    project: Project, ways: list[Way], scales: list[int], rounds: int, say: Callable[[str], None]
) -> Found:
    """Run the nodes so often, in each way and at each scale; in the first round, see what tables they make."""
    found = Found({scale: {way.name: [] for way in ways} for scale in scales})
    for number in range(rounds):
        for scale in scales:
            for way in turns(ways, number):
                digests = found.digests.setdefault(scale, {}).setdefault(way.name, {})
                times = _run(
                    project, way, scale, f"{number}-{scale}", digests if number == 0 else None
                )
                found.times[scale][way.name].append(times)
                say(
                    f"round {number + 1}, scale {scale}, {way.title}: {times.sum:.2f} s, "
                    f"{times.handing_over:.3f} s of it handing over"
                )
    found.unequal = list(differences(found.digests))
    return found


def turns(ways: list[Way], number: int) -> list[Way]:
    """Return the ways in the order of a round: each is first as often as the others."""
    first = number % len(ways)
    return ways[first:] + ways[:first]


def differences(digests: dict[int, dict[str, dict[str, str]]]) -> Iterator[str]:
    """Say of each scale and table which way has another one than the first way.

    Examples
    --------
    >>> list(differences({1: {"a": {"y_train": "0f"}, "b": {"y_train": "0f"}, "c": {"y_train": "1c"}}}))
    ['y_train at scale 1 is another by c than by a']
    """
    for scale, ways in digests.items():
        (first, right), *others = ways.items()
        for way, tables in others:
            for table in right:
                if tables.get(table) != right[table]:
                    yield f"{table} at scale {scale} is another by {way} than by {first}"


def _run(
    project: Project, way: Way, scale: int, run: str, digests: dict[str, str] | None = None
) -> Times:
    """Run all nodes, and have the way forget what they left; with the digest of each table where these are asked for."""
    variables = way.variables | {"VINEYARD_RUN_ID": f"bench-{run}"}

    def look(table: str) -> None:
        if digests is not None:
            digests[table] = project.digest(way.name, table, variables)

    try:
        return project.run(way.name, scale, variables, look)
    finally:
        way.forget()
