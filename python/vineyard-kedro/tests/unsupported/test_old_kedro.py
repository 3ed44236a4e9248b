# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""An older Kedro, in which the plugin was installed all the same."""

import os
import subprocess
import sys

import kedro
import pytest

PATIENCE = 120  # seconds until what hangs is ended


def test_importing_says_which_kedro_is_needed():
    assert kedro.__version__.startswith("0.18.")
    with pytest.raises(
        ImportError, match=r"needs Kedro 1\.0 or later.*0\.18\.14 is installed: pip install"
    ):
        import vineyard.contrib.kedro  # noqa: F401


def test_kedros_command_says_it_too(tmp_path):
    """Kedro itself loads the hooks when a project is run."""
    package = tmp_path / "src" / "old"
    package.mkdir(parents=True)
    for name in ("__init__.py", "settings.py"):
        (package / name).write_text("")
    (package / "pipeline_registry.py").write_text(
        "from kedro.pipeline import node, pipeline\n"
        "def register_pipelines():\n"
        "    return {'__default__': pipeline([node(lambda: 1, None, 'x', name='n')])}\n"
    )
    for env in ("base", "local"):
        (tmp_path / "conf" / env).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "old"\nproject_name = "old"\n'
        f'kedro_init_version = "{kedro.__version__}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "kedro", "run"],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "DO_NOT_TRACK": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "vineyard-kedro needs Kedro 1.0 or later and below 2.0, and 0.18.14 is installed" in said
