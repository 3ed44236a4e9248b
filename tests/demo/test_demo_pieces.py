# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The parts of the harness, each by itself."""

import numpy as np
import pandas as pd
import pytest
from harness import machine, memory
from harness.comparison import median_run
from harness.fingerprint import fingerprint, value_bytes
from harness.report import differences, not_run, summarise
from harness.sizes import format_bytes, format_seconds, parse_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("336776", 336_776),
        ("500k", 500_000),
        ("1.5M", 1_500_000),
        ("1_000", 1_000),
        ("2G", 2 * 10**9),
    ],
)
def test_a_count_is_read_with_its_suffix(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "0", "-5", "many", "1e6", "5 5", "0.1", "nan", "3Mi"])
def test_what_is_no_positive_count_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="not a positive count"):
        parse_count(text)


def test_sizes_and_durations_are_written_with_units() -> None:
    assert format_bytes(2_000_000_000) == "2.00 GB"
    assert format_bytes(1_500_000) == "1.50 MB"
    assert [format_seconds(s) for s in (73.2, 1.234, 0.5, 0.0123)] == [
        "73.2 s",
        "1.23 s",
        "500 ms",
        "12.3 ms",
    ]


def test_layout_does_not_enter_a_fingerprint() -> None:
    numbers = np.arange(12.0).reshape(4, 3)
    one_block = pd.DataFrame(numbers, columns=list("abc"))
    by_column = pd.DataFrame(
        {name: one_block[name].to_numpy().copy() for name in "abc"}, copy=False
    )
    fortran = pd.DataFrame(np.asfortranarray(numbers), columns=list("abc"))
    assert fingerprint(one_block) == fingerprint(by_column) == fingerprint(fortran)


def test_chunks_and_slices_of_strings_do_not_enter_a_fingerprint() -> None:
    whole = pd.Series(["JFK", None, "", "Newark ✈", "LGA"], dtype="str")
    pieces = pd.concat([whole[:2], whole[2:]], ignore_index=True)
    sliced = pd.concat([pd.Series(["x"], dtype="str"), whole])[1:].reset_index(drop=True)
    assert fingerprint(whole) == fingerprint(pieces) == fingerprint(sliced)


@pytest.mark.parametrize(
    "other",
    [
        pd.Series([1.0, np.nan, 3.0], name="b"),
        pd.Series([1.0, np.nan, 3.0], name="a", index=[0, 1, 3]),
        pd.Series([1.0, np.nan, np.nextafter(3.0, 4)], name="a"),
        pd.Series([1.0, np.nan, 3.0], name="a", dtype="float32"),
    ],
)
def test_anything_else_enters_a_fingerprint(other: pd.Series) -> None:
    assert fingerprint(other) != fingerprint(pd.Series([1.0, np.nan, 3.0], name="a"))


def test_a_shifted_string_changes_the_fingerprint() -> None:
    assert fingerprint(pd.Series(["ab", "c"])) != fingerprint(pd.Series(["a", "bc"]))
    assert fingerprint(pd.Series(["a", None])) != fingerprint(pd.Series(["a", ""]))


def test_the_size_of_a_value_is_that_of_its_memory() -> None:
    assert value_bytes(np.zeros((3, 4))) == 96
    assert value_bytes(pd.Series(np.zeros(1000), index=np.arange(1000))) == 16_000
    assert value_bytes({"a": 1}) < 100


def test_memory_in_use_counts_shared_pages_once(tmp_path, monkeypatch) -> None:
    fake = tmp_path / "meminfo"
    fake.write_text(
        "MemTotal: 1000 kB\nAnonPages: 100 kB\nCached: 50 kB\nShmem: 40 kB\nPageTables: 2 kB\n"
        "HugePages_Total: 5\nHugePages_Free: 3\nHugepagesize: 2048 kB\n"
    )
    monkeypatch.setattr(memory, "MEMINFO", fake)
    assert memory.used_bytes() == (100 + 50 + 2 + 2 * 2048) * 1024


def test_the_peak_is_what_was_added_while_watching(tmp_path, monkeypatch) -> None:
    fake = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "MEMINFO", fake)
    line = "AnonPages: {} kB\nCached: 0 kB\nPageTables: 0 kB\n"
    fake.write_text(line.format(100))
    with memory.PeakMemory(interval_s=0.001) as peak:
        fresh = tmp_path / "next"
        fresh.write_text(line.format(300))
        fresh.rename(fake)
        while peak.peak_bytes == 0:
            pass
        monkeypatch.undo()
    assert peak.peak_bytes >= 200 * 1024


def test_the_limit_of_a_cgroup_counts_as_the_memory(tmp_path, monkeypatch) -> None:
    group = tmp_path / "outer" / "inner"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("123456\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    lines = machine._lines

    def fake(path):
        return ["0::/outer/inner"] if str(path) == "/proc/self/cgroup" else lines(path)

    monkeypatch.setattr(machine, "_lines", fake)
    assert machine.memory_bytes() == 123_456


def step(**changes):
    base = {
        "step": "test",
        "read_s": 1.0,
        "write_s": 2.0,
        "compute_s": 4.0,
        "startup_s": 8.0,
        "inputs": {"x": {"sha256": "1"}},
        "outputs": {},
        "results": {"mse": 3.5},
    }
    return base | changes


def test_the_total_is_all_that_a_step_pays() -> None:
    entry = summarise([step(), step()], 7)
    assert entry["handover_s"] == 6
    assert entry["total_s"] == 30
    assert set(not_run("vineyard")) == {*entry, "handover_runs_s"}


def test_a_difference_between_ways_is_found_and_named() -> None:
    same, other = summarise([step()], 0), summarise([step(results={"mse": 3.6})], 0)
    broken = summarise([step(inputs={"x": {"sha256": "2"}})], 0)
    assert differences({"a": same, "b": same}) == []
    assert differences({"a": same, "b": other}) == ["mse differs between a test and b test"]
    assert differences({"a": same, "b": broken}) == ["x differs between a test and b test"]


def test_of_several_runs_the_one_with_the_median_hand_over_is_reported() -> None:
    runs = [{"handover_s": s, "n": i} for i, s in enumerate([3.0, 1.0, 2.0, 9.0])]
    assert median_run(runs) == {"handover_s": 2.0, "n": 2, "handover_runs_s": [3.0, 1.0, 2.0, 9.0]}
    assert median_run(runs[:1])["n"] == 0
