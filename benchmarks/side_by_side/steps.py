# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The timed loops. They run in a worker process, with the client of one system.

The clock is read around the calls alone: making values, converting keys and comparing what came
back are outside. The garbage collector is left on, as users have it. Calls of microseconds are
timed in batches, each of which is one sample: seconds for one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from side_by_side import values

if TYPE_CHECKING:
    from side_by_side.peers.peer import Client

#: Seconds after which a loop takes no further sample.
ENOUGH = 1.0

Key = Any  # what the other process can make the system's own key from
Samples = list[float]


class Clock:
    """Says when a loop has lasted long enough."""

    def __init__(self, pauses: float = 0.0) -> None:
        self._end = time.perf_counter() + ENOUGH + pauses

    def over(self) -> bool:
        return time.perf_counter() > self._end


def put(
    client: Client, value: str, count: int, batch: int = 1, warm: int = 0, pause: float = 0.0
) -> tuple[Samples, list[Key]]:
    """Put a value `warm` times, then `count` times with the clock. Returns the keys of all."""
    made = values.make(value)
    client.prepare(made)
    call = client.put
    keys = [call(made) for _ in range(warm)]
    samples = []
    clock = Clock(pause * count)
    for _ in range(max(count // batch, 1)):
        if samples and clock.over():
            break
        if pause:
            time.sleep(pause)
        if batch == 1:
            begin = time.perf_counter()
            key = call(made)
            taken = time.perf_counter() - begin
            keys.append(key)
        else:
            begin = time.perf_counter()
            for _ in range(batch):
                keys.append(call(made))
            taken = time.perf_counter() - begin
        samples.append(taken / batch)
    return samples, [client.key_out(key) for key in keys]


def put_over(client: Client, value: str, count: int, pause: float = 0.0) -> Samples:
    """Put a value, and delete it before it is put again: after `pause` seconds, if any.

    Without a pause the time of each turn is counted whole, with its delete: what a program sees that
    does this without end.
    """
    made = values.make(value)
    client.prepare(made)
    samples = []
    key = client.put(made)
    clock = Clock(pause * count)
    for _ in range(count):
        if samples and clock.over():
            break
        begin = time.perf_counter()
        client.delete([key])
        key = None  # for systems that count references
        if pause:
            time.sleep(pause)
            begin = time.perf_counter()
        key = client.put(made)
        samples.append(time.perf_counter() - begin)
    client.delete([key])
    return samples


def put_allocated(client: Client, value: str, count: int) -> tuple[Samples, list[Key]]:
    """Put what was allocated in the store and filled there; only the put is timed."""
    samples, keys = [], []
    for _ in range(count):
        made = values.make_within(client.empty, value)
        begin = time.perf_counter()
        key = client.put(made)
        samples.append(time.perf_counter() - begin)
        del made
        keys.append(client.key_out(key))
        if len(keys) < count:
            client.delete([client.key_in(keys.pop())])
    return samples, keys


def put_many(client: Client, value: str, count: int, repeat: int) -> tuple[Samples, list[Key]]:
    """Put `count` values in one call."""
    many = [values.make(value)] * count
    samples, keys = [], []
    clock = Clock()
    for _ in range(repeat):
        if samples and clock.over():
            break
        begin = time.perf_counter()
        got = client.put_many(many)
        samples.append((time.perf_counter() - begin) / count)
        keys += got
    return samples, [client.key_out(key) for key in keys]


def get_many(client: Client, keys: Sequence[Key], value: str, repeat: int) -> Samples:
    """Get all values in one call."""
    own = [client.key_in(key) for key in keys]
    made = values.make(value)
    samples = []
    for _ in range(repeat):
        begin = time.perf_counter()
        got = client.get_many(own)
        samples.append((time.perf_counter() - begin) / len(own))
    if len(got) != len(own) or not all(values.same(v, made) for v in got):
        raise ValueError("what came back is not what was put")
    return samples


def get(client: Client, keys: Sequence[Key], count: int, batch: int = 1, warm: int = 0) -> Samples:
    """Get the values of the keys in turn; each takes the place of the one before."""
    own = [client.key_in(key) for key in keys]
    call = client.get
    for i in range(warm):
        got = call(own[i % len(own)])
    samples = []
    clock = Clock()
    for first in range(0, count, batch):
        if samples and clock.over():
            break
        part = [own[i % len(own)] for i in range(first, first + batch)]
        if batch == 1:
            key = part[0]
            begin = time.perf_counter()
            got = call(key)
            taken = time.perf_counter() - begin
        else:
            begin = time.perf_counter()
            for key in part:
                got = call(key)
            taken = time.perf_counter() - begin
        samples.append(taken / batch)
    del got
    client.forget()
    return samples


def get_mapped(
    client: Client, keys: Sequence[Key], count: int, touch: bool = False
) -> dict[str, Samples]:
    """Get each value for the first time in this process, again after it was dropped, and while held.

    With `touch` the samples include summing all of the value, after each get.
    """
    first, again, held = Samples(), Samples(), Samples()
    clock = Clock()
    for key in keys:
        if first and clock.over():
            break
        own = client.key_in(key)
        one = _one_get(client.get, own, touch)
        first.append(one())
        client.forget()
        for _ in range(count):
            if again and clock.over():
                break
            again.append(one())
            client.forget()
        kept = client.get(own)
        for _ in range(count):
            if held and clock.over():
                break
            held.append(one())
        del kept, one
        client.forget()
    return {"first": first, "again": again, "held": held}


def _one_get(call: Callable[[Any], Any], key: Any, touch: bool) -> Callable[[], float]:
    def one() -> float:
        begin = time.perf_counter()
        got = call(key)
        if touch:
            got.sum()
        taken = time.perf_counter() - begin
        del got
        return taken

    return one


def verify(client: Client, keys: Iterable[Key], value: str) -> bool:
    """Whether what comes back is equal to what was put."""
    equal = all(values.is_made(client.get(client.key_in(key)), value) for key in keys)
    client.forget()
    return equal


def delete(client: Client, keys: Sequence[Key]) -> None:
    """Delete them; nothing is timed."""
    client.delete([client.key_in(key) for key in keys])
    client.forget()


def throughput(
    client: Client, start: float, seconds: float, value: str, keys: Sequence[Key] = ()
) -> float:
    """Put (or get, where there are keys) from a moment on; returns calls per second.

    What was put is deleted afterwards.
    """
    made = values.make(value)
    own = [client.key_in(key) for key in keys]
    new: list[Any] = []
    time.sleep(max(start - time.time(), 0))
    begin = now = time.perf_counter()
    done = 0
    while now - begin < seconds:
        if own:
            for key in own:
                client.get(key)
            done += len(own)
        else:
            for _ in range(20):
                new.append(client.put(made))
            done += 20
        now = time.perf_counter()
    client.delete(new)
    return done / (now - begin)


def fill(client: Client, value: str, count: int, every: int) -> tuple[float, list[Key]]:
    """Put `count` values as fast as the system takes them.

    Returns the seconds that it took, and every so many-th key.
    """
    made = values.make(value)
    sample: list[Key] = []
    done = 0
    begin = time.perf_counter()
    while done < count:
        part = min(10_000, count - done)
        keys = client.put_many([made] * part)
        client.keep(keys)
        sample += [client.key_out(keys[i]) for i in range(-done % every, part, every)]
        done += part
    return time.perf_counter() - begin, sample


def listing(client: Client, limit: int, repeat: int) -> Samples:
    """List a page of what there is."""
    samples = []
    for _ in range(repeat):
        begin = time.perf_counter()
        found = client.list_page(limit)
        samples.append(time.perf_counter() - begin)
        if len(found) != limit:
            raise ValueError(f"asked for {limit}, listed {len(found)}")
    return samples
