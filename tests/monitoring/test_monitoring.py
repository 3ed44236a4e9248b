# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What Prometheus and Grafana are given, tried with Prometheus' own tool and against a real instance.

`make test-monitoring` brings promtool and Grafana's own library of what a dashboard is, which is made from its schema;
without them the tests that need them are skipped. The dashboard's queries are read by promtool.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\b(?:vineyard_|instances_)\w+")
COLUMNS = 24


def promtool() -> str:
    fetched = ROOT / "build" / "monitoring" / "usr" / "bin" / "promtool"
    found = str(fetched) if fetched.exists() else shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool; `make test-monitoring` fetches it")
    return found


def program() -> Path:
    path = Path(os.environ.get("VINEYARDD", ROOT / "build" / "release" / "bin" / "vineyardd"))
    if not path.exists():
        pytest.skip(f"there is no {path}; `make build` makes it")
    return path


def run(*arguments: str, stdin: str | None = None) -> None:
    done = subprocess.run(
        [promtool(), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=FOLDER,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What an instance tells at /metrics once somebody has used it."""
    folder = tmp_path_factory.mktemp("instance")
    log = folder / "log"
    socket = folder / "v.sock"
    with log.open("w") as err:
        daemon = subprocess.Popen(
            [program(), f"--socket={socket}", "--size=64Mi", "--http=127.0.0.1:0"], stderr=err
        )
    try:
        yield read_metrics(log, daemon)
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


def read_metrics(log: Path, daemon: "subprocess.Popen[bytes]") -> str:
    """Asks until the instance has been asked: its requests are counted then, too."""
    while daemon.poll() is None:
        address = re.search(r"HTTP is answered address=(\S+)", log.read_text())
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if address:
                with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=60) as answer:
                    text = str(answer.read(), "utf-8")
                if "vineyard_request_duration_seconds_count" in text:
                    return text
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def names_in(metrics: str) -> set[str]:
    return set(re.findall(r"^([a-z_]+)[{ ]", metrics, re.MULTILINE))


def queries() -> list[str]:
    """Of the dashboard, with what Grafana puts in for its variables."""
    found = [t["expr"] for p in DASHBOARD["panels"] for t in p["targets"]]
    found += [a["expr"] for a in DASHBOARD["annotations"]["list"]]
    return [
        re.sub(r"\$__rate_interval", "5m", q).replace("$job", ".*").replace("$instance", ".*")
        for q in found
    ]


def test_the_metrics_are_what_prometheus_wants_to_read(metrics: str) -> None:
    run("check", "metrics", stdin=metrics)


def test_every_metric_is_explained(metrics: str) -> None:
    for name in names_in(metrics):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert f"# HELP {family} " in metrics
        assert f"# TYPE {family} " in metrics


def test_memory_adds_up(metrics: str) -> None:
    states = re.findall(r"^vineyard_memory_bytes\{state=\"\w+\"\} (\d+)$", metrics, re.MULTILINE)
    limit = re.search(r"^vineyard_memory_limit_bytes (\d+)$", metrics, re.MULTILINE)
    assert limit and sum(map(int, states)) == int(limit[1]) == 64 << 20


def test_the_alerts_are_in_order_and_go_off_when_they_should() -> None:
    run("check", "rules", "alerts.yml")
    run("test", "rules", "alerts_test.yml")


def test_every_alert_is_tried() -> None:
    tried = re.findall(
        r"alertname: (\w+)", (FOLDER / "alerts_test.yml").read_text(encoding="utf-8")
    )
    alerts = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    assert alerts
    for alert in alerts:
        assert tried.count(alert) >= 2, f"{alert}: once where it goes off, once where it does not"


def test_alerts_and_dashboard_ask_for_what_there_is(metrics: str) -> None:
    known = names_in(metrics)
    rules = (FOLDER / "alerts.yml").read_text(encoding="utf-8")
    asked = set(
        METRIC.findall(
            " ".join(re.findall(r"expr: (?:>-\n)?((?:.+\n)+?)(?:\s+(?:for|labels):)", rules))
        )
    )
    assert asked
    for query in queries():
        asked |= set(METRIC.findall(query))
    assert asked <= known, f"nobody tells {sorted(asked - known)}"


def test_the_dashboards_queries_can_be_read(tmp_path: Path) -> None:
    rules = [{"record": f"dashboard:query:{i}", "expr": q} for i, q in enumerate(queries())]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("check", "rules", str(path))


#: Of an annotation by Prometheus: the schema knows what all data sources have.
BEYOND_THE_SCHEMA = {".annotations.list[0].titleFormat", ".annotations.list[0].textFormat"}


def unknown_to_the_schema(board: dict[str, Any]) -> set[str]:
    """Paths of what Grafana's classes do not give back as they were given it; raises for values that can't be."""
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder")
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    plugins = pytest.importorskip("grafana_foundation_sdk.cog.plugins")
    plugins.register_default_plugins()
    read = models.Dashboard.from_json(board)
    _check_types(read, "")
    return set(_different(board, json.loads(encoder.JSONEncoder().encode(read)), ""))


def _check_types(value: Any, path: str) -> None:
    """Grafana's classes say what each field may be, and take anything."""
    typeguard = pytest.importorskip("typeguard")
    if isinstance(value, dict):
        for key, one in value.items():
            _check_types(one, f"{path}[{key}]")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _check_types(one, f"{path}[{index}]")
    elif type(value).__module__.startswith("grafana_foundation_sdk") and not isinstance(
        value, Enum
    ):
        for name, kind in get_type_hints(type(value)).items():
            one = getattr(value, name)
            if not any(_is(one, option) for option in (get_args(kind) or (kind,))):
                try:
                    typeguard.check_type(one, kind)
                except typeguard.TypeCheckError as error:
                    raise ValueError(f"{path}.{name}: {error}") from None
            _check_types(one, f"{path}.{name}")


def _is(value: Any, kind: Any) -> bool:
    """A value of an enumeration, which the classes keep as the text or number that it was."""
    return (
        isinstance(kind, type) and issubclass(kind, Enum) and value in [one.value for one in kind]
    )


def _different(given: Any, known: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            yield from _different(value, known.get(key), f"{path}.{key}")
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for index, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _different(one, other, f"{path}[{index}]")
    elif given != known:
        yield path


def test_the_dashboard_keeps_to_the_schema() -> None:
    assert unknown_to_the_schema(DASHBOARD) == BEYOND_THE_SCHEMA


def test_what_the_schema_does_not_know_is_found() -> None:
    board = json.loads(json.dumps(DASHBOARD))
    board["panels"][0]["fieldConfig"]["defaults"]["invented"] = 1
    found = unknown_to_the_schema(board) - BEYOND_THE_SCHEMA
    assert found == {".panels[0].fieldConfig.defaults.invented"}
    board["panels"][0]["fieldConfig"]["defaults"]["thresholds"] = {"mode": "no mode", "steps": []}
    with pytest.raises(ValueError, match="mode"):
        unknown_to_the_schema(board)


def test_the_dashboard_is_one() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["title"]
    assert "id" not in DASHBOARD, "Grafana gives it one"
    variables = {v["name"]: v for v in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval"}
    assert used == set(variables), "each variable is there, and is used"


def check_panel(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat"}
    assert panel["title"]
    assert panel["description"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["overrides"] == []
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)
    for target in panel["targets"]:
        assert target["expr"]
        assert target["legendFormat"]
        assert target["datasource"] == panel["datasource"]


def test_its_panels_are_whole_and_lie_beside_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        check_panel(panel)
        place = panel["gridPos"]
        assert set(place) == {"x", "y", "w", "h"}
        assert place["x"] + place["w"] <= COLUMNS
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]
