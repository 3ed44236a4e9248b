# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The benchmarks' driver, on tiny values: that what it says is so, and that it leaves nothing behind.

Nothing here says how long anything may take.
"""

import doctest
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from side_by_side import (
    compare,
    document,
    machine,
    result,
    steps,
    table,
    values,
)
from side_by_side.measuring import Cells
from side_by_side.peers import NAMES, memcpy_fresh
from side_by_side.peers.peer import CannotDo, Client
from side_by_side.rows import FAMILIES, family
from side_by_side.ways import COMPARISONS

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def start(tmp_path, *arguments):
    """Start the driver, with a folder of its own for what is temporary."""
    return subprocess.Popen(
        [sys.executable, "-m", "side_by_side", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_by(driver, tmp_path):
    """Name what there still is of a driver that has ended: folders, files in memory, processes."""
    mark = f"vybench-{driver.pid}-"
    files = [p for place in (tmp_path, Path("/dev/shm")) for p in place.glob(f"{mark}*")]
    running = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in command.read_text():
                running.append(command)
        except OSError:
            pass
    return files + running


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run vineyard and pickle files once, and return what was written."""
    folder = tmp_path_factory.mktemp("run")
    driver = start(
        folder,
        "--quick",
        *(
            "--rounds",
            2,
            "--out",
            folder / "result.json",
            "--systems",
            "ours",
            "pickle_shm",
            "memcpy",
        ),
        *(
            "--rows",
            "*100b",
            "put-64kib",
            "put-64mib*",
            "get-1mib-*",
            "put-1gib-*",
            "*-table",
            "put-empty-64mib",
        ),
        *("get-by-2", "get-of-10*", "memory-*", "list-*", "start", "idle-*"),
    )
    said, log = driver.communicate()
    assert driver.returncode == 0, log
    assert left_by(driver, folder) == []
    return json.loads((folder / "result.json").read_text()), said, log


def cells_of(found, row):
    (cells,) = (r["cells"] for r in found["rows"] if r["name"] == row)
    return cells


def test_what_was_got_is_what_was_put(run):
    found, _, log = run
    for row in found["rows"]:
        for system, cell in row["cells"].items():
            assert "failed" not in cell, (row["name"], system, log)
            assert cell.get("equal", True), (row["name"], system)


def test_each_system_has_figures_where_it_can(run):
    found, _, _ = run
    for row in ("put-100b", "get-100b", "put-1gib-fresh", "get-table", "get-by-2", "get-of-10"):
        cells = cells_of(found, row)
        for system in ("ours", "pickle_shm"):
            cell = cells[system]
            assert len(cell["rounds"]) == 2
            assert cell["min"] <= cell["q1"] <= cell["median"] <= cell["q3"] <= cell["max"]
    assert "median" in cells_of(found, "put-64kib")["memcpy"]


def test_who_has_no_way_to_do_it_says_so(run):
    found, said, _ = run
    assert "no list" in cells_of(found, "list-1000")["pickle_shm"]["cannot"]
    assert "memcpy" not in cells_of(found, "get-100b")
    assert "- pickle, /dev/shm: has no list of what there is (list-1000)" in said


def test_a_quick_run_says_that_it_is_one(run):
    found, said, _ = run
    assert found["settings"]["quick"]
    assert "quick run" in said


def test_the_json_says_what_it_holds(run):
    found, _, _ = run
    assert found["schema"] == result.__doc__
    for key in ("machine", "settings", "systems", "rows", "cpp", "commit", "when"):
        assert key in found
        assert key in found["schema"]
    assert found["machine"]["cores"] >= 1
    assert found["systems"]["ours"]["versions"]["vineyard"]


def test_a_run_that_is_interrupted_leaves_nothing(tmp_path):
    driver = start(
        tmp_path, "--rounds", 1000, "--out", tmp_path / "r.json", "--systems", "ours", "pickle_shm"
    )
    for line in driver.stderr:
        if "round 1" in line or "Small" in line:
            break
    while not list(tmp_path.glob(f"vybench-{driver.pid}-*/vineyard.sock")):
        assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    driver.communicate()
    assert driver.returncode == 130
    assert left_by(driver, tmp_path) == []
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("arguments", [["--systems", "nobody"], ["--rows", "no-such-row"]])
def test_what_is_not_known_is_refused(tmp_path, arguments):
    driver = start(tmp_path, *arguments, "--quick", "--out", tmp_path / "r.json")
    _, log = driver.communicate()
    assert driver.returncode == 2
    assert arguments[1] in log.splitlines()[-1]


# ---- pieces


class Lying(Client):
    """A system that gives back something else."""

    def __init__(self):
        super().__init__({})
        self.there = {}

    def put(self, value):
        self.there[len(self.there)] = value
        return len(self.there) - 1

    def get(self, key):
        value = self.there[key]
        return value[:-1] if isinstance(value, bytes) else value.astype(np.float32)

    def delete(self, keys):
        for key in keys:
            del self.there[key]


@pytest.mark.parametrize("value", ["bytes:100", "array:800", f"array:{40 << 20}"])
def test_a_wrong_value_is_seen(value):
    client = Lying()
    _, keys = steps.put(client, value, 2)
    assert not steps.verify(client, keys, value)


def test_a_wrong_value_of_many_is_seen():
    client = Lying()
    _, keys = steps.put_many(client, "bytes:10", 5, 1)
    with pytest.raises(ValueError, match="not what was put"):
        steps.get_many(client, keys, "bytes:10", 1)


@pytest.mark.parametrize(
    "prefix", ["frame:2x", "objects:", "strings:", "table:", "columns:", "members:"]
)
def test_values_are_equal_wherever_they_are_made_and_no_others_are(prefix):
    made = values.make(f"{prefix}7")
    values.make.cache_clear()
    assert values.is_made(made, f"{prefix}7")
    assert not values.is_made(made, f"{prefix}8")
    assert not values.is_made(values.make("bytes:7"), f"{prefix}7")


@pytest.mark.parametrize("name", ["array:800", "frame:3x50"])
def test_what_is_made_in_memory_of_the_store_is_what_is_made_elsewhere(name):
    given = []

    def empty(shape, dtype):
        given.append(np.full(shape, np.nan, dtype))
        return given[0]

    made = values.make_within(empty, name)
    assert values.is_made(made, name)
    assert np.shares_memory(np.asarray(made), given[0])


def test_strings_of_another_kind_are_not_the_same():
    objects, strings = values.make("objects:5"), values.make("strings:5")
    assert not values.same(strings, objects)
    assert not values.same(objects, strings)
    assert not values.same(objects.astype({"kind": object}), objects)


@pytest.mark.parametrize("put_first", [1, 3])
def test_each_put_over_deletes_the_one_before(put_first):
    client = Lying()
    samples = steps.put_over(client, "bytes:10", put_first)
    assert len(samples) == put_first
    assert client.there == {}


@pytest.mark.parametrize("name", NAMES)
def test_each_peer_can_put_get_and_delete(name):
    kind = importlib.import_module(f"side_by_side.peers.{name}").Client
    assert issubclass(kind, Client)
    assert not kind.__abstractmethods__


def test_a_peer_that_can_not_get_is_none():
    class Sink(Client):
        def put(self, value):
            return 0

        def delete(self, keys):
            pass

    with pytest.raises(TypeError, match="get"):
        Sink({})


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        ("spawn", []),
        ("forward", [[]]),
        ("empty", [1, "f8"]),
        ("make_volumes", [1]),
        ("list_page", [1]),
    ],
)
def test_what_a_peer_has_no_way_to_do_it_says(step, arguments):
    with pytest.raises(CannotDo, match="has "):
        getattr(Lying(), step)(*arguments)


def test_fresh_pages_are_fresh_until_what_was_put_is_deleted():
    client = memcpy_fresh.Client({})
    keys = steps.put(client, "array:800", 3)[1]
    assert len(set(keys)) == 3
    there = list(client._there.values())
    assert [bytes(memory[:800]) for memory in there] == [values.make("array:800").tobytes()] * 3
    steps.delete(client, keys[:1])
    assert list(client._there.values()) == there[1:]
    client.close()
    assert not client._there


def test_an_unequal_cell_is_marked_and_never_best():
    cells = Cells()
    row = family.Row("a", "a row")
    cells.add("good", {"a": [2.0]}, True)
    cells.add("wrong", {"a": [1.0]}, False)
    cells.refuse("unable", [row], "cannot", "no way")
    cells.refuse("broken", [row], "failed", "it fell")
    names = ["good", "slow", "wrong", "unable", "broken"]
    cells.add("slow", {"a": [3.0, 5.0, 4.0]}, True)
    found = result.Result({"quick": False, "rounds": 1})
    found.systems = {
        name: {"title": name, "limit": False, "settings": "", "versions": {}, "missing": None}
        for name in names
    }
    found.systems["absent"] = found.systems["good"] | {"title": "absent", "missing": "not here"}
    found.add("family", row, cells.of(row, names))
    text = table.of(json.loads(json.dumps(vars(found))))
    assert "| a row | **2.00 s** | 4.00 s | 1.00 s ≠ | fails |" in text
    assert "- unable: no way (a)" in text
    assert "- broken: it fell (a)" in text
    assert "- absent: **left out**: not here" in text


def cell(*rounds):
    return result.cell([[r] for r in rounds], True)


@pytest.mark.parametrize(
    ("better", "base", "new", "verdict"),
    [
        ("less", cell(10.0, 11.0, 12.0), cell(5.0, 6.0, 7.0), "better"),
        ("less", cell(5.0, 6.0, 7.0), cell(10.0, 11.0, 12.0), "worse"),
        ("more", cell(5.0, 6.0, 7.0), cell(10.0, 11.0, 12.0), "better"),
        ("less", cell(5.0, 6.0, 12.0), cell(5.5, 8.0, 11.0), ""),
        ("less", cell(100.0), cell(101.0), ""),
    ],
)
def test_a_difference_counts_where_it_is_more_than_the_spread(better, base, new, verdict):
    row = {"name": "a", "unit": "s", "better": better}
    assert compare.difference(row, base, new).verdict == verdict


def test_comparing_says_what_can_not_be_compared(tmp_path, capsys, run):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(run[0]))
    assert compare.main([str(path), str(path)]) == 0
    assert " 0 worse" in capsys.readouterr().out
    assert compare.main([str(path)]) == 1  # one build of vineyard alone
    assert compare.main([str(tmp_path / "nowhere.json")]) == 2
    other = run[0] | {"machine": run[0]["machine"] | {"cpu": "another"}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert compare.main([str(path), str(tmp_path / "other.json")]) == 0
    assert "different machines" in capsys.readouterr().out


def test_the_document_is_filled_between_its_markers_alone(run):
    text = "before <!-- figures: Small values -->\nold\n<!-- end --> after"
    filled = document.fill(text, run[0])
    assert filled.startswith("before <!-- figures: Small values -->\n\n| ")
    assert filled.endswith("\n\n<!-- end --> after")
    assert "old" not in filled
    assert document.fill(filled, run[0]) == filled
    with pytest.raises(ValueError, match="no family 'Nothing'"):
        document.fill(text.replace("Small values", "Nothing"), run[0])


def test_figures_of_a_quick_run_do_not_get_into_the_document(tmp_path, run):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(run[0]))
    page = tmp_path / "page.md"
    page.write_text("<!-- figures: facts -->\n<!-- end -->")
    assert document.main(str(path), str(page)) == 1
    assert page.read_text() == "<!-- figures: facts -->\n<!-- end -->"


def test_the_documents_markers_name_families():
    titles = {part.title for part in (*FAMILIES, *COMPARISONS)}
    titles |= {"facts", "systems", "programs", "profile"}
    text = (ROOT / "docs/performance.md").read_text()
    named = [
        line[len("<!-- figures: ") : -len(" -->")]
        for line in text.splitlines()
        if line.startswith("<!-- figures: ")
    ]
    assert sorted(named) == sorted(titles)


def test_names_of_rows_are_all_different():
    names = [row.name for f in FAMILIES for measure in f.measures for row in measure.rows]
    names += [row.name for comparison in COMPARISONS for row in comparison.rows]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("module", [family, machine, result, table])
def test_examples_are_right(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ([], "say BASE="),
        (["no-such-commit"], "'no-such-commit' is no commit"),
        (["nowhere.json"], "nowhere.json"),
    ],
)
def test_what_can_not_be_compared_with_is_refused(base, said):
    done = subprocess.run(
        [ROOT / "scripts/compare_benchmarks.sh", *base],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
