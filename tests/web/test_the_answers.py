# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The made server answers as an instance does: each key that it gives, an instance gives too, with a value of that kind."""

import json
from urllib.request import urlopen

import pytest
from stores import running_fake, running_instance


def ask(url, path):
    with urlopen(url + path, timeout=60) as answer:
        return json.load(answer)


def kind(value):
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    )


def differences(made, real, where=""):
    """What is in the made answer and not in the real one. Null may stand for anything, and lists may be empty."""
    if made is None or real is None:
        return []
    if kind(made) != kind(real):
        return [f"{where}: {made!r}, {real!r}"]
    if isinstance(made, dict):
        missing = [f"{where}.{key}: missing" for key in made if key not in real]
        common = [key for key in made if key in real]
        return missing + [
            d for key in common for d in differences(made[key], real[key], f"{where}.{key}")
        ]
    if isinstance(made, list) and made and real:
        return differences(made[0], real[0], f"{where}[0]")
    return []


@pytest.fixture(scope="module")
def both():
    with running_instance() as real, running_fake() as made:
        keys = [store.put("one", 300_000) for store in (made, real)]
        holder = {
            "pid": 1,
            "program": "p",
            "pod": None,
            "client": 1,
            "mapped_bytes": 1,
            "pinned": False,
        }
        stored = made.store.objects["default", keys[0]]
        stored.held_by, stored.reasons, stored.advice = [holder], ["because"], ["do"]
        who = {"client": 1, "pid": 1, "program": "p", "pod": None, "uid": 0, "volume": "default"}
        sizes = dict.fromkeys(("mapped_bytes", "writing_bytes", "pinned_bytes", "idle_bytes"), 0)
        counts = {"connected": True, "read_only": False, "since": 1, "waiting": 0, "requests": 1}
        made.store.clients = [who | sizes | counts]
        made.store.history = {
            name: [1.5]
            for name in (
                *("used", "held", "spilled", "requests_per_s", "failed_per_s"),
                *("waiting", "latency_p50_us", "latency_p99_us"),
            )
        }
        held = real.client.get(real.client.get_name("one"))
        yield made, real, keys
        del held


@pytest.mark.parametrize("path", ["state", "objects", "clients", "waits", "history", "why"])
def test_an_instance_gives_what_the_made_server_gives(both, path):
    made, real, keys = both
    answers = []
    for store, key in zip((made, real), keys, strict=True):
        query = f"?volume=default&id={key}" if path == "why" else ""
        answers.append(ask(store.url, f"/api/v1/{path}{query}"))
    assert differences(*answers) == []
