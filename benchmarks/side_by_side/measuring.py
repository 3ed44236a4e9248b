# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A run: families, rounds within a family, measures within a round, systems within a measure.

So neighbours in time are the systems, which meet the same state of the machine. While one has its
turn, the processes of all others are stopped. Where a family asks for a fresh system, or for much
memory, one at a time is up: then a turn is all measures of the family.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from side_by_side import result
from side_by_side.environments import Environment, environment_of
from side_by_side.peers import server_of
from side_by_side.peers.peer import CannotDo, NotToBeHad, Server
from side_by_side.rows import FAMILIES
from side_by_side.rows.family import Family, Measure, Row, Scale, Turn, wanted
from side_by_side.session import Failed, Session


@dataclass
class System:
    """A system that is asked for."""

    name: str
    peer: str  # the module of peers/
    kind: type[Server]
    environment: Environment | None = None
    versions: dict[str, str] = field(default_factory=dict)
    missing: str | None = None

    @classmethod
    def of(cls, name: str, checkout: Path | None = None) -> System:
        """Return the peer of this name; or vineyard as a checkout has it."""
        peer = name if checkout is None else "ours"
        kind: Any = server_of(peer)
        if checkout is not None:
            kind = type("Server", (kind,), {"checkout": checkout, "title": f"vineyard {name}"})
        system = cls(name, peer, kind)
        try:
            system.environment = environment_of(peer, checkout)
        except NotToBeHad as error:
            system.missing = str(error)
        return system

    def start(self, size: int) -> Session:
        assert self.environment is not None
        session = Session(self.name, self.kind, self.environment, size)
        self.versions = session.versions
        return session

    def facts(self) -> dict[str, Any]:
        return {
            "title": self.kind.title,
            "limit": self.kind.limit,
            "settings": self.kind.settings,
            "versions": self.versions,
            "missing": self.missing,
        }


class Cells:
    """What has been found so far, of one family."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
        self._unequal: set[tuple[str, str]] = set()
        self._broken: dict[tuple[str, str], dict[str, str]] = {}

    def add(self, system: str, found: dict[str, list[float]], equal: bool) -> None:
        for row, samples in found.items():
            self._samples[row, system].append(samples)
            if not equal:
                self._unequal.add((row, system))

    def refuse(self, system: str, rows: Sequence[Row], how: str, why: str) -> None:
        for row in rows:
            self._broken[row.name, system] = {how: why}

    def refused(self, system: str, rows: Sequence[Row]) -> bool:
        return all((row.name, system) in self._broken for row in rows)

    def of(self, row: Row, systems: Sequence[str]) -> dict[str, result.Cell]:
        cells: dict[str, result.Cell] = {}
        for system in systems:
            at = (row.name, system)
            if rounds := self._samples.get(at):
                cells[system] = result.cell(rounds, at not in self._unequal)
            elif at in self._broken:
                cells[system] = self._broken[at]
        return cells


class Run:
    """One run of the driver.

    Parameters
    ----------
    systems : sequence of System
    rows : sequence of str
        Patterns; empty means all.
    rounds : int
    scale : Scale
    """

    def __init__(
        self, systems: Sequence[System], rows: Sequence[str], rounds: int, scale: Scale
    ) -> None:
        self.systems = systems
        self.patterns = rows
        self.rounds = rounds
        self.scale = scale
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.result = result.Result(
            {"quick": scale.quick, "rounds": rounds, "rows": list(rows)}
            | {"systems": [system.name for system in systems]}
        )

    def measure(self, save: Callable[[result.Result], None]) -> result.Result:
        """Measure everything, and return what was found; `save` is called after each family."""
        rows = self.patterns
        for family in FAMILIES:
            measures = [m for m in family.measures if any(wanted(row, rows) for row in m.rows)]
            if measures:
                self._family(replace(family, measures=measures))
                self.note_systems()
                save(self.result)
        return self.result

    def note_systems(self) -> None:
        """Write down what has become known of the systems."""
        self.result.systems = {system.name: system.facts() for system in self.systems}

    def _family(self, family: Family) -> None:
        say(f"{family.title}:")
        names = family.systems
        systems = [
            s for s in self.systems if s.missing is None and (names is None or s.peer in names)
        ]
        cells = Cells()
        rounds = min(self.rounds, family.rounds)
        if family.fresh:
            self._fresh(family, systems, rounds, cells)
        else:
            self._together(family, systems, rounds, cells)
        for measure in family.measures:
            for row in measure.rows:
                if wanted(row, self.patterns):
                    self.result.add(family.title, row, cells.of(row, [s.name for s in systems]))

    def _together(
        self, family: Family, systems: Sequence[System], rounds: int, cells: Cells
    ) -> None:
        """All systems are up, and all but one stopped."""
        with ExitStack() as stack:
            sessions: dict[str, Session] = {}
            for system in systems:
                session = self._start(system, family)
                if session is not None:
                    sessions[system.name] = stack.enter_context(session)
                    session.freeze()
            for number in range(rounds):
                say(f"  round {number + 1} of {rounds}: ", end="")
                for measure in family.measures:
                    say(measure.rows[0].name, end=" ")
                    for session in sessions.values():
                        if _says_something(session, measure):
                            session.thaw()
                            self._turn(session, measure, number, cells)
                            session.freeze()
                say("")

    def _fresh(self, family: Family, systems: Sequence[System], rounds: int, cells: Cells) -> None:
        """In each round each system is started anew, takes all its turns, and is ended."""
        for number in range(rounds):
            say(f"  round {number + 1} of {rounds}: ", end="")
            for system in systems:
                measures = [
                    measure
                    for measure in family.measures
                    if _concerns(system.kind.limit, system.name, measure)
                    and not cells.refused(system.name, measure.rows)
                ]
                if system.missing or not measures:
                    continue
                say(system.name, end=" ")
                session = self._start(system, family)
                if session is not None:
                    with session:
                        for measure in measures:
                            self._turn(session, measure, number, cells)
            say("")

    def _start(self, system: System, family: Family) -> Session | None:
        try:
            return system.start(64 << 20 if self.scale.quick else family.size)
        except NotToBeHad as error:
            say(f"  {system.name}: {error}")
            system.missing = str(error)
            return None

    def _turn(self, session: Session, measure: Measure, number: int, cells: Cells) -> None:
        """One system measures its rows once."""
        if cells.refused(session.name, measure.rows):
            return
        turn = Turn(session, self.scale, number)
        begin = time.monotonic()
        found: dict[str, list[float]] = {}
        try:
            for row, samples in measure.run(turn):
                found[row] = samples
        except CannotDo as error:
            left = [row for row in measure.rows if row.name not in found]
            cells.refuse(session.name, left, "cannot", str(error))
        except Failed as error:
            say(f"\n  {session.name}: {measure.rows[0].name}: {error}")
            left = [row for row in measure.rows if row.name not in found]
            cells.refuse(session.name, left, "failed", str(error))
        cells.add(session.name, found, turn.equal)
        self.seconds[session.name, measure.rows[0].name] += time.monotonic() - begin


def _says_something(session: Session, measure: Measure) -> bool:
    return _concerns(session.server.limit, session.name, measure)


def _concerns(limit: bool, name: str, measure: Measure) -> bool:
    return not limit or any(name in row.limits for row in measure.rows)


def say(text: str, end: str = "\n") -> None:
    """Tell whoever waits how far it is."""
    print(text, end=end, file=sys.stderr, flush=True)
