# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The benchmark of what seeing costs, on little of all: that it runs, tells of all, and leaves nothing.

Nothing here says how long anything may take.
"""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from seeing import answers, cost, instance, looking, report
from vineyard.programs import find_program

try:
    HELP = subprocess.run(
        [find_program("vineyardd"), "--help"], capture_output=True, text=True, check=True
    ).stdout
except FileNotFoundError:
    HELP = ""
needs_program = pytest.mark.skipif("--http" not in HELP, reason="no vineyardd with --http")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run it once, and return what it said and wrote."""
    folder = tmp_path_factory.mktemp("seeing")
    done = subprocess.run(
        [sys.executable, "-m", "seeing", "--quick", "--out", folder / "seeing.json"],
        env=instance.environment() | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("vybench-*")) == []
    return done.stdout, json.loads((folder / "seeing.json").read_text()), folder


@needs_program
def test_each_operation_has_its_pairs(run):
    _, found, _ = run
    rows = {(row["step"], row["size"]): row for row in found["cost"]}
    assert set(rows) == {(step, size) for step in ("put", "get") for size in (1024, 102400, 10**7)}
    for row in rows.values():
        assert len(row["unseen"]) == len(row["twin"]) == len(row["seen"]) == len(row["all"]) == 2
        for unseen, seen, everyone in zip(row["unseen"], row["seen"], row["all"], strict=True):
            assert unseen > 0 and everyone >= seen > 0
    assert set(found["idle"]) == {"instance", "lookers"}
    assert min(found["idle"].values()) >= 0  # so short a time may pass without a question


@needs_program
def test_each_answer_is_there(run):
    said, found, folder = run
    paths = {"/", "/metrics", "/readyz", "/api/v1/why", *looking.page_asks()}
    assert set(found["answers"]["first"]) == set(found["answers"]["kept"]) == paths
    assert set(found["answers"]["commands"]) == set(answers.COMMANDS)
    assert len(found["answers"]["page"]) == 1
    for path in paths:
        assert f"| `{path}` |" in said
    assert "quick run" in said
    assert (folder / "seeing.md").read_text() == said


@needs_program
def test_the_page_is_whole():
    with instance.running("64Mi", http=True) as there:
        instance.until(lambda: knows(there.port))
        browser = looking.Browser(there.port)
        asked = answers.load_page(browser)
        browser.close()
    files = {f"/{path.relative_to(looking.PAGE)}" for path in looking.PAGE.rglob("*.[jc]s*")}
    assert set(asked) == {"/", *looking.page_asks(), *files - {"/index.html"}}
    assert len(asked) == len(set(asked))


@needs_program
def test_who_looks_is_paused_and_goes_on(tmp_path):
    with instance.running("64Mi", http=True) as there, looking.lookers(there) as lookers:
        for begin, states in ((lookers.pause, "T"), (lookers.begin, "SRD")):
            begin()
            for pid in [lookers.trace, *there.web_processes()]:
                status = Path(f"/proc/{pid}/status")
                assert instance.until(
                    lambda status=status, states=states: re.search(
                        rf"^State:\s*[{states}]", status.read_text(), re.MULTILINE
                    )
                )
        before = lookers.processor_ns()
        assert instance.until(lambda: lookers.processor_ns() > before)
        assert len(there.web_processes()) == 1
        assert there.keeper in there.store_processes()
        assert not set(there.web_processes()) & set(there.store_processes())


def knows(port):
    try:
        return looking.Browser(port).get("/readyz")
    except looking.Refused:
        return None


def test_what_the_page_asks_is_read_from_the_page():
    assert sorted(looking.page_asks()) == [
        f"/api/v1/{name}" for name in ("clients", "history", "objects", "state", "waits")
    ]
    assert looking.page_pause() > 0


def test_ratios_are_of_pairs():
    row = cost.Row("put", 1, 1, unseen=[1.0, 2.0, 4.0], seen=[1.5, 2.0, 8.0], all=[2.0, 4.0, 8.0])
    row.twin = [1.0, 2.0, 6.0]
    assert row.ratios(row.seen)[1] == 1.5
    assert row.ratios(row.all) == (2.0, 2.0, 2.0)
    text = "\n".join(report.cost([row], cost.Idle(0.001, 0.002)))
    assert "1.500 (1.250–1.750)" in text


@pytest.mark.parametrize("module", [instance, report])
def test_examples_are_right(module):
    assert doctest.testmod(module).failed == 0
