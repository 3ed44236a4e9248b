# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Ways of working beside one another: numpy's work under the allocator, and the pipeline."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from side_by_side import compare, document, result, table, tasks
from side_by_side.measuring import Cells, System
from side_by_side.peers.peer import CannotDo, Client
from side_by_side.rows import family
from side_by_side.session import Failed
from side_by_side.ways import comparison, pipeline, work

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIZE = 1 << 16


class Memory:
    """An allocator that allocates nothing, and counts."""

    def __init__(self):
        self.declined = 0
        self.given_back = 0

    def give_back(self):
        self.given_back += 1


class Store(Client):
    """Keeps what is put; may bring it back changed."""

    def __init__(self, change=lambda value: value):
        super().__init__({})
        self.memory = Memory()
        self.there = {}
        self.puts = 0
        self.change = change

    def allocator(self):
        return self.memory

    def put(self, value):
        self.puts += 1
        self.there[self.puts] = value
        return self.puts

    def get(self, key):
        return self.change(self.there[key])

    def delete(self, keys):
        for key in keys:
            del self.there[key]


def do(client, way, task, count=2):
    return tasks.work(client, way, task, SIZE, count, 0.0)


def fake(cells_of, ways=("numpy", "reused"), **more):
    """Make a comparison that puts these cells, and the row that it has."""
    rows = (family.Row("work-a", "a"), family.Row("work-b", "b"))

    def measure(asked, cells):
        for row in asked.rows:
            cells_of(row, cells)

    titles = {way: f"by {way}" for way in ways}
    return comparison.Comparison("Some ways", titles, rows, measure, **more)


def measured(compared, *patterns):
    """Run a comparison, and return the result as it is in JSON."""
    found = result.Result({"quick": False, "rounds": 3})
    scale, ours = family.Scale(), System.of("ours")
    comparison.run(compared, patterns, 3, scale, ours, found)
    return json.loads(json.dumps(vars(found)))


# ---- numpy's and pandas' work


@pytest.mark.parametrize("task", tasks.TASKS)
def test_each_task_has_the_same_result_every_way(task):
    digests = {way: do(Store(), way, task)[1] for way in work.WAYS}
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize(
    ("task", "change"), [("add", lambda a: a + 1), ("frame-sort", lambda frame: frame[::-1])]
)
def test_another_value_than_was_put_is_seen(task, change):
    assert do(Store(change), "put", task)[1] != do(Store(), "numpy", task)[1]


def test_a_digest_is_of_each_element_and_of_the_order():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    other = frame.copy()
    other.loc[1, "b"] = 5
    assert tasks.digest_of(frame) == tasks.digest_of(frame.copy())
    assert tasks.digest_of(frame) != tasks.digest_of(other)
    assert tasks.digest_of(frame) != tasks.digest_of(frame[::-1])


@pytest.mark.parametrize(("way", "puts", "given_back"), [("numpy", 0, 0), ("reused", 0, 1)])
def test_what_is_reused_is_not_given_back_before_the_end(way, puts, given_back):
    store = Store()
    samples, _, _ = do(store, way, "add", count=3)
    assert len(samples) == 3
    assert (store.puts, store.memory.given_back) == (puts, given_back)


@pytest.mark.parametrize(("way", "puts"), [("first", 0), ("put", 4)])
def test_what_is_used_first_is_given_back_before_each(way, puts):
    store = Store()
    do(store, way, "add", count=3)
    assert (store.puts, store.memory.given_back) == (puts, 5)
    assert store.there == {}


def test_arrays_that_the_store_had_no_memory_for_are_counted(monkeypatch):
    store = Store()
    store.memory.declined = 5  # of the task before
    monkeypatch.setitem(tasks.TASKS, "add", ("", lambda _: decline(store.memory)))
    assert do(store, "first", "add", count=2)[2] == 3


def decline(memory):
    memory.declined += 1
    return np.zeros(1)


def test_a_child_that_fails_is_seen(monkeypatch):
    of = tasks.Inputs(SIZE)
    of.a = -of.a
    with pytest.raises(ChildProcessError):
        tasks.TASKS["forks"][1](of)


class Told:
    """A worker that answers what it is told to, or raises it."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, step, **arguments):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_way_whose_result_differs_is_unequal_and_others_are_not():
    cells = Cells()
    row = family.Row("work-add", "a")
    workers = {"numpy": Told(([1.0], 7, 0)), "reused": Told(([1.0], 7, 0))}
    workers["put"] = Told(([1.0], 8, 0))
    work._one(row, list(workers), workers, True, cells)
    found = cells.of(row, list(workers))
    assert [found[way]["equal"] for way in workers] == [True, True, False]


@pytest.mark.parametrize(("error", "how"), [(CannotDo("so"), "cannot"), (Failed("so"), "failed")])
def test_a_way_that_is_not_to_be_had_leaves_the_others(error, how):
    cells = Cells()
    row = family.Row("work-add", "a")
    workers = {"reused": Told(error), "numpy": Told(([1.0], 7, 0))}
    for _ in range(2):
        work._one(row, list(workers), workers, True, cells)
    found = cells.of(row, list(workers))
    assert found["reused"] == {how: "so"}
    assert len(found["numpy"]["rounds"]) == 2


@pytest.mark.parametrize("compared", [work.COMPARISON, pipeline.COMPARISON])
def test_where_memory_is_short_nothing_is_started(compared, monkeypatch):
    monkeypatch.setattr(family, "memory_available", lambda: 1 << 30)
    monkeypatch.setattr(System, "start", None)
    monkeypatch.setattr(pipeline, "run_program", None)
    found = measured(compared)
    for row in found["rows"]:
        for way in compared.ways:
            assert "GiB of free memory" in row["cells"][way]["cannot"]


# ---- the pipeline

PROGRAM = """
import json, pathlib, signal, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
"""


@pytest.fixture
def program(tmp_path):
    """Make a program that does this instead of running the pipeline."""

    def make(text):
        path = tmp_path / "program.py"
        path.write_text(PROGRAM + text)
        return [sys.executable, path]

    return make


def test_what_the_program_found_is_returned_also_where_values_differed(program):
    command = program("(out / 'result.json').write_text('{\"rows\": 1}'); sys.exit('differs')")
    assert pipeline.run_program(command) == {"rows": 1}


def test_what_the_program_lacks_it_says_itself(program):
    with pytest.raises(CannotDo, match="scikit-learn is missing"):
        pipeline.run_program(program("sys.exit('run: scikit-learn is missing')"))


def test_a_program_that_dies_has_failed(program):
    with pytest.raises(Failed, match="status -9"):
        pipeline.run_program(program("import os; os.kill(os.getpid(), 9)"))


@pytest.fixture
def own_interrupts():
    """Python's handler of Ctrl-C: after that of polars, which comes with its import, calls that wait go on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_program_in_order(program, tmp_path, own_interrupts):
    command = program(
        f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(pathlib.Path({str(tmp_path)!r}, 'ended')"
        f".write_text(str(out))))\npathlib.Path({str(tmp_path)!r}, 'up').touch()\ntime.sleep(1000)"
    )

    def interrupt():
        while not (tmp_path / "up").exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_program(command)
    thread.join()
    assert not Path((tmp_path / "ended").read_text()).exists()


def test_each_row_is_what_the_program_calls_it(monkeypatch):
    times = {"write_s": 1.0, "read_s": 2.0, "compute_s": 3.0, "total_s": 4.0}
    answer = {"transports": dict.fromkeys(pipeline.WAYS, times), "differences": ["x differs"]}
    monkeypatch.setattr(family, "memory_available", lambda: 1 << 40)
    monkeypatch.setattr(pipeline, "run_program", lambda command: answer)
    found = measured(pipeline.COMPARISON, "pipeline-*e")
    assert [row["name"] for row in found["rows"]] == ["pipeline-write", "pipeline-compute"]
    for row, seconds in zip(found["rows"], (1.0, 3.0), strict=True):
        for way in pipeline.WAYS:
            assert row["cells"][way]["rounds"] == [seconds] * 3
            assert not row["cells"][way]["equal"]


# ---- the table, the document, comparing


def halved(row, cells):
    """`reused` takes half of the time in row a and 1.5 of it in row b; the rounds differ by much."""
    factor = 0.5 if row.name == "work-a" else 1.5
    for seconds in (1.0, 2.0, 6.0):
        cells.add("numpy", {row.name: [seconds]}, True)
        cells.add("reused", {row.name: [seconds * factor]}, True)


def test_ratios_are_of_the_same_round_and_say_fast_or_slow():
    found = measured(fake(halved, relative_to="numpy", goal="never slower"))
    lines = list(table.family(found, "Some ways"))
    assert lines[0] == "|  | goal | by numpy | by reused |"
    assert lines[2:] == [
        "| a |  | 2.00 s ±100 % | 2.00 × as fast |",
        "| b |  | 2.00 s ±100 % | 1.50 × as slow |",
        "| **median of these** | never slower |  | **as fast** |",
    ]


def test_ways_that_are_not_relative_have_their_times():
    found = measured(fake(halved), "work-b")
    assert list(table.family(found, "Some ways"))[2:] == [
        "| b |  | 2.00 s ±100 % | 3.00 s ±100 % |"
    ]


def test_a_way_that_lacks_figures_says_why():
    def partly(row, cells):
        cells.add("numpy", {row.name: [1.0]}, True)
        raise CannotDo("no memory")

    found = measured(fake(partly, relative_to="numpy"))
    text = table.of(found)
    assert "| a |  | 1.00 s | – |" in text
    assert "| b |  | – | – |" in text
    assert "- by reused: no memory (work-a, work-b)" in text


def test_ways_get_into_the_document():
    text = "<!-- figures: Some ways -->\n<!-- end -->"
    assert "1.50 × as slow" in document.fill(text, measured(fake(halved, relative_to="numpy")))


def test_ways_of_two_results_are_compared_as_the_table_has_them():
    def slower(row, cells):
        for _ in range(3):
            cells.add("numpy", {row.name: [5.0]}, True)
            cells.add("reused", {row.name: [10.0]}, True)

    base = measured(fake(halved, relative_to="numpy"))
    new = measured(fake(slower, relative_to="numpy"))
    found = {d.name: d for d in compare.of_two(base, new)}
    assert found["work-a, reused"].ratio == 4.0
    assert found["work-a, reused"].verdict == "worse"
    assert found["work-a, numpy"].unit == "s"
    assert "2.00 × as slow" in compare.table(list(found.values()))


def test_a_result_of_before_there_were_ways_can_be_compared():
    new = measured(fake(halved))
    base = {key: value for key, value in new.items() if key != "ways"}
    assert list(compare.of_two(base, new)) == []


# ---- the driver


def run(tmp_path, *arguments):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "side_by_side", "--quick", "--out", tmp_path / "r.json"),
            *arguments,
        ],
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("vybench-*")) == []
    return json.loads((tmp_path / "r.json").read_text()), done.stdout


def test_a_run_has_the_ways_that_are_asked_for(tmp_path):
    rows = ["work-add", "work-merge", "work-forks", "pipeline-write"]
    found, said = run(tmp_path, "--systems", "ours", "--rows", *rows)
    assert [row["name"] for row in found["rows"]] == sorted(rows, key=rows.index)
    cells = {row["name"]: row["cells"] for row in found["rows"]}
    for row in rows[:3]:
        for way, cell in cells[row].items():
            if way == "numpy" or "cannot" not in cell:  # without huge pages the allocator stays off
                assert cell["equal"], (row, way)
                assert cell["samples"] == 2
    assert cells["pipeline-write"]["vineyard"] == {"cannot": "is left out of a quick run"}
    assert "median of these" in said


def test_without_vineyard_there_are_no_ways(tmp_path):
    found, _ = run(tmp_path, "--systems", "memcpy", "--rows", "work-add", "put-64kib")
    assert [row["name"] for row in found["rows"]] == ["put-64kib"]
    assert found["ways"] == {}
