# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard docker`, with a program in the place of docker that writes down how it was called."""

import json
import os
import sys
from importlib import metadata

import pytest
from cli_fixtures import ask

STAND_IN = """#!{python}
import json, sys
json.dump(sys.argv[1:], open({record!r}, "w"))
sys.exit({code})
"""


@pytest.fixture
def project(make_project):
    made = make_project()
    made.write("requirements.txt", "kedro\n")
    return made


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Puts the stand-in first in PATH; what it returns tells how it was called last."""

    def install(code=0):
        program, record = tmp_path / "bin" / "docker", tmp_path / "called.json"
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN.format(python=sys.executable, record=str(record), code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return lambda: json.loads(record.read_text())

    return install


def instructions(project):
    """The Dockerfile's lines that do something."""
    lines = (project.path / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def build_arguments(args):
    return {args[i + 1] for i, arg in enumerate(args) if arg == "--build-arg"}


# ---- init


def test_a_dockerfile_is_made(project):
    assert ask(project, "docker", "init").out == "Dockerfile\n.dockerignore\n"
    lines = instructions(project)
    python = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert lines[:2] == [f"ARG BASE_IMAGE={python}", "FROM ${BASE_IMAGE}"]
    assert "COPY requirements.txt ./requirements.txt" in lines
    assert "ARG WITH_VINEYARD=true" in lines
    assert lines[-2:] == ["USER kedro_docker", 'CMD ["kedro", "run"]']
    text = "\n".join(lines)
    assert f'"vineyard-kedro=={metadata.version("vineyard-kedro")}"' in text
    assert "@" not in text


def test_each_build_argument_is_declared_before_it_is_used(project, docker):
    called = docker()
    ask(project, "docker", "build")
    declared = set()
    for line in instructions(project):
        word, _, rest = line.partition(" ")
        if word == "ARG":
            declared.add(rest.partition("=")[0])
        assert {
            name
            for name in ("BASE_IMAGE", "KEDRO_UID", "KEDRO_GID", "WITH_VINEYARD")
            if f"{{{name}}}" in rest
        } <= declared
    assert declared == {one.partition("=")[0] for one in build_arguments(called())}


def test_passwords_stay_out_of_the_image(project):
    ask(project, "docker", "init")
    ignored = (project.path / ".dockerignore").read_text().splitlines()
    assert "conf/**/*credentials*" in ignored and ".git" in ignored


@pytest.mark.parametrize("option", ["--without-vineyard", "--with-vineyard=False", "-w no"])
def test_it_may_be_without_vineyard(project, option):
    ask(project, "docker", "init", *option.split())
    assert "ARG WITH_VINEYARD=false" in instructions(project)


def test_nothing_is_overwritten(project):
    project.write(".dockerignore", "mine\n")
    said = ask(project, "docker", "init", code=1)
    assert "has .dockerignore already" in said.err and said.out == ""
    assert not (project.path / "Dockerfile").exists()
    ask(project, "docker", "init", "--force")
    assert (project.path / ".dockerignore").read_text() != "mine\n"
    assert "--force" in ask(project, "docker", "init", code=1).err


def test_requirements_may_be_where_older_projects_have_them(make_project):
    project = make_project()
    project.write("src/requirements.txt", "kedro\n")
    ask(project, "docker", "init")
    assert "COPY src/requirements.txt ./requirements.txt" in instructions(project)


def test_a_project_without_requirements_is_told(shop):
    assert "has no requirements.txt" in ask(shop, "docker", "init", code=1).err


def test_a_project_of_kedros_starter_gets_one(new_project):
    new_project.kedro("vineyard", "docker", "init")
    assert "COPY requirements.txt ./requirements.txt" in instructions(new_project)


# ---- build


def test_docker_is_called_with_all_that_the_dockerfile_wants(project, docker, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(os, "getgid", lambda: 1001)
    called = docker()
    said = ask(project, "docker", "build")
    args = called()
    assert args[0] == "build" and args[-1] == str(project.path)
    base = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert build_arguments(args) == {
        "KEDRO_UID=1000",
        "KEDRO_GID=1001",
        f"BASE_IMAGE={base}",
        "WITH_VINEYARD=true",
    }
    assert args[args.index("-t") + 1] == project.package
    assert "Wrote Dockerfile." in said.err and "docker build" in said.err
    assert (project.path / "Dockerfile").is_file()


def test_who_is_root_gets_another_user(project, docker, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    called = docker()
    ask(project, "docker", "build")
    assert build_arguments(called()) >= {"KEDRO_UID=999", "KEDRO_GID=0"}


def test_what_is_said_counts(project, docker):
    called = docker()
    ask(
        project,
        *("docker", "build", "--uid=5", "--gid=6", "--base-image=own:1", "--image=shop:3"),
        "--without-vineyard",
    )
    args = called()
    assert build_arguments(args) == {
        "KEDRO_UID=5",
        "KEDRO_GID=6",
        "BASE_IMAGE=own:1",
        "WITH_VINEYARD=false",
    }
    assert args[args.index("-t") + 1] == "shop:3"


def test_arguments_for_docker_are_read_as_a_shell_does(project, docker):
    called = docker()
    ask(project, "docker", "build", "--docker-args", "--no-cache --label 'a=b c'")
    assert called()[-4:-1] == ["--no-cache", "--label", "a=b c"]
    ask(project, "docker", "build", "--docker-args=--tag=own")
    assert "-t" not in called() and "--tag=own" in called()
    said = ask(project, "docker", "build", "--docker-args", "'open", code=2)
    assert "no text as a shell has it" in said.err


def test_a_dockerfile_of_ones_own_is_used(shop, docker):
    """Also where there are no requirements that ours would install."""
    called, project = docker(), shop
    project.write("Dockerfile", "FROM scratch\n")
    ask(project, "docker", "build")
    assert (project.path / "Dockerfile").read_text() == "FROM scratch\n"
    assert called()[0] == "build"


def test_a_build_that_fails_fails(project, docker):
    docker(code=3)
    assert "ended with status 3" in ask(project, "docker", "build", code=1).err


def test_a_machine_without_docker_is_told(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    said = ask(project, "docker", "build", code=1)
    assert "The program 'docker' is not in PATH" in said.err
    assert not (project.path / "Dockerfile").exists()
