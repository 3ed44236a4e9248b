# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fixtures: real Kedro projects, real instances, and Kedro's own command in processes of its own."""

import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import vineyard
from vineyard import embedded
from vineyard.contrib.kedro import sharing
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.io.place import Place
from vineyard.launching import Instance

PATIENCE = 120  # seconds until what hangs is ended
SCHEDULERS = ("ARGO_", "AIRFLOW_", "VINEYARD_", "KEDRO_")
_numbers = itertools.count()


def pytest_configure(config):
    for warned in (
        "UserWarning:kedro",
        "DeprecationWarning:omegaconf",
    ):  # of what Kedro itself uses
        config.addinivalue_line("filterwarnings", f"ignore::{warned}")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """What the machine is set up for must not reach the tests, nor what one test did the next."""
    for name in [name for name in os.environ if name.startswith(SCHEDULERS)]:
        monkeypatch.delenv(name)
    for home in ("HOME", "XDG_RUNTIME_DIR"):  # where an instance of this user's may listen
        monkeypatch.setenv(home, str(tmp_path))
    for quiet in ("KEDRO_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(quiet, "1")
    monkeypatch.setenv("COLUMNS", "200")
    yield
    assert not sharing.running
    sharing.running.clear()
    VineyardDataset.outside_of_runs = Place()


@pytest.fixture
def log():
    """What the plugin says. A filter, since Kedro takes away the handlers that it finds."""
    lines = []
    logger = logging.getLogger("kedro.vineyard")
    listen = lambda record: lines.append(record.getMessage()) or True  # noqa: E731
    logger.addFilter(listen)
    yield lines
    logger.removeFilter(listen)


@pytest.fixture(scope="session")
def running():
    """One instance for all tests."""
    started = Instance.start(size="128Mi", exit_with=os.getpid(), arguments=["--huge_pages=off"])
    yield started
    started.stop()


@pytest.fixture
def instance(running, monkeypatch):
    """The instance that datasets find; it holds nothing at the beginning, and nobody's names."""
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", running.socket)
    with vineyard.connect(running.socket) as client:
        client.clear()
    return running


@pytest.fixture
def client(instance):
    with vineyard.connect(instance.socket) as connected:
        yield connected


@pytest.fixture
def no_instance(monkeypatch):
    """The machine has none: where one may listen for all users is looked for elsewhere."""
    monkeypatch.setattr("vineyard.settings.RUN_DIRECTORY", "/nonexistent")
    yield
    embedded.stop()


class Project:
    """A Kedro project in a directory of its own."""

    def __init__(self, path, package):
        self.path = Path(path)
        self.package = package
        self._started = []

    def write(self, name, text):
        """Writes a file of the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def catalog(self, text, env="base"):
        self.write(f"conf/{env}/catalog.yml", text)

    def settings(self, text):
        self.write(f"src/{self.package}/settings.py", text)

    def pipeline(self, text):
        """Writes the pipelines: a module that has `register_pipelines`."""
        self.write(f"src/{self.package}/pipeline_registry.py", text)

    def kedro(self, *arguments, check=True, **environment):
        """Runs kedro in a process of its own; returns what it did and said."""
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=PATIENCE)
        if check:
            assert process.returncode == 0, said
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def start(self, *arguments, **environment):
        """Starts kedro, and does not wait for it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self):
        """Ends what a test that failed has left running."""
        for process in self._started:
            with process:
                process.kill()

    def session(self, env=None, **options):
        """A session of Kedro in this process."""
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(self.path)
        return KedroSession.create(project_path=self.path, env=env, **options)

    def run(self, env=None, **options):
        """Runs it in this process; returns the outputs that the catalog doesn't keep."""
        with self.session(env) as session:
            return session.run(**options)


#: Three nodes, of which the second changes in place what it was given, as nodes do.
SHOP = """
    import numpy as np
    import pandas as pd
    from kedro.pipeline import Node, Pipeline


    def make():
        return pd.DataFrame({"price": np.arange(50_000.0), "label": [f"x{i}" for i in range(50_000)]})


    def double(frame):
        frame["price"] *= 2
        frame.loc[0, "price"] = -1.0
        return frame, frame["price"].to_numpy()


    def total(frame, prices):
        prices[0] += 1
        return {"sum": float(frame["price"].sum()), "first": float(prices[0]), "label": frame["label"].iloc[-1]}


    def register_pipelines():
        shop = Pipeline(
            [
                Node(make, None, "raw", name="make"),
                Node(double, "raw", ["twice", "prices"], name="double"),
                Node(total, ["twice", "prices"], "result", name="total"),
            ]
        )
        return {"__default__": shop, "shop": shop}
"""
#: What it comes to.
RESULT = {"sum": 2 * sum(range(50_000)) - 1.0, "first": 0.0, "label": "x49999"}
#: Where the result is kept.
KEPT = """
    result:
      type: json.JSONDataset
      filepath: data/result.json
"""


def result(project):
    return json.loads((project.path / "data/result.json").read_text())


def seen(log):
    """What the log says went through vineyard, run by run."""
    lines = [line for line in log if line.startswith("Through vineyard")]
    return [line.partition("): ")[2].split(", ") for line in lines]


@pytest.fixture
def make_project(tmp_path):
    """Makes projects; each package has a name that no other test's has, as modules are imported once."""
    made = []

    def make(pipeline=SHOP, catalog=KEPT, settings=""):
        from kedro import __version__

        package = f"project_{os.getpid()}_{next(_numbers)}"
        project = Project(tmp_path / package, package)
        project.write(
            "pyproject.toml",
            f"""
            [tool.kedro]
            package_name = "{package}"
            project_name = "{package}"
            kedro_init_version = "{__version__}"
            """,
        )
        project.write(f"src/{package}/__init__.py", "")
        project.write("conf/local/credentials.yml", "")
        project.write("conf/base/parameters.yml", "")
        project.settings(settings)
        project.pipeline(pipeline)
        project.catalog(catalog)
        (project.path / "data").mkdir()
        made.append(project)
        return project

    path = list(sys.path)
    yield make
    sys.path[:] = path
    for project in made:
        project.end()
        for name in [n for n in sys.modules if n.partition(".")[0] == project.package]:
            del sys.modules[name]


@pytest.fixture
def shop(make_project):
    return make_project()


@pytest.fixture(scope="session")
def starter(tmp_path_factory):
    """A project that `kedro new` made, never changed."""
    folder = tmp_path_factory.mktemp("starter")
    subprocess.run(
        [
            *(sys.executable, "-m", "kedro", "new", "--name=Bare", "--tools=none"),
            *("--example=no", "--telemetry=no"),
        ],
        cwd=folder,
        env=os.environ | {"HOME": str(folder), "DO_NOT_TRACK": "1"},
        timeout=PATIENCE,
        check=True,
        capture_output=True,
    )
    return folder / "bare"


@pytest.fixture
def new_project(starter, tmp_path):
    """A copy of it."""
    project = Project(shutil.copytree(starter, tmp_path / "bare"), "bare")
    yield project
    project.end()
