# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard docker`."""

from __future__ import annotations

import os
import shlex
import shutil
import string
import subprocess
import sys
from importlib import metadata as packages
from importlib import resources
from pathlib import Path
from typing import Any

import click
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.project import Project

_TEMPLATES = "vineyard.contrib.kedro.plugins"
#: Where a project has its requirements: Kedro 0.19 and later at the root, before in src/.
_REQUIREMENTS = ("requirements.txt", "src/requirements.txt")
BASE_IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
#: Of the user in the container where the one who builds is root.
_UID, _GID = 999, 0


class _Template(string.Template):
    """A Dockerfile has '$' for itself."""

    delimiter = "@"


@click.group()
def docker() -> None:
    """An image of the project, whose containers run it or parts of it."""


def _with_vineyard(command: Any) -> Any:
    command = click.option(
        "--without-vineyard", is_flag=True, help="The same as --with-vineyard=false."
    )(command)
    return click.option(
        "--with-vineyard",
        "--with_vineyard",
        "-w",
        "with_vineyard",
        type=bool,
        is_flag=False,
        flag_value="true",
        default="true",
        metavar="[BOOLEAN]",
        help="Install vineyard and its plugin; true by default.",
    )(command)


@docker.command(
    epilog="""
    \b
    example: write them, look at them, make the image
      kedro vineyard docker init
      kedro vineyard docker build --image=shop
    """
)
@_with_vineyard
@manners.force_option("Replace what is there.")
@click.pass_obj
def init(metadata: Any, with_vineyard: bool, without_vineyard: bool, force: bool) -> None:
    """Write a Dockerfile and a .dockerignore for the project.

    The image has Python, what requirements.txt lists, vineyard with its plugin (found in the folder wheels/ of the
    project, or at the package index), and the project itself. It runs as a user without rights, and 'kedro run' is
    what it does if nothing else is said.
    """
    project = Project(metadata)
    files = {
        project.path / "Dockerfile": _dockerfile(project, with_vineyard and not without_vineyard),
        project.path / ".dockerignore": _read("dockerignore"),
    }
    there = [file.name for file in files if os.path.lexists(file)]
    if there and not force:
        raise manners.CommandFailed(
            f"{project.path} has {' and '.join(there)} already. Look at it, and move it away or say --force to "
            "replace it."
        )
    for file, text in files.items():
        manners.write_file(file, text, force=force)
        click.echo(file.name)


@docker.command(
    epilog="""
    \b
    example: an image that a cluster can get
      kedro vineyard docker build --image=registry.example.com/shop:3 \\
        --docker-args='--push --platform=linux/amd64'
    """
)
@click.option("--uid", type=click.IntRange(0), help="Of the container's user; yours by default.")
@click.option("--gid", type=click.IntRange(0), help="Of its group; yours by default.")
@click.option(
    "--base-image", default=BASE_IMAGE, show_default=True, metavar="IMAGE", help="To build upon."
)
@click.option(
    "--image", metavar="NAME", help="Of the image; that of the project's folder by default."
)
@click.option(
    "--docker-args",
    default="",
    metavar="TEXT",
    help="More arguments for 'docker build', quoted as in a shell. They count more.",
)
@_with_vineyard
@click.pass_obj
def build(
    metadata: Any,
    uid: int | None,
    gid: int | None,
    base_image: str,
    image: str | None,
    docker_args: str,
    with_vineyard: bool,
    without_vineyard: bool,
) -> None:
    """Build an image of the project, with its Dockerfile.

    Where there is none, 'kedro vineyard docker init' is done first. Who builds as root gets a container whose user is
    999, in group 0, unless --uid and --gid say otherwise.
    """
    project = Project(metadata)
    try:
        more = shlex.split(docker_args)
    except ValueError as error:
        raise click.BadParameter(
            f"{docker_args!r} is no text as a shell has it: {error}.", param_hint="'--docker-args'"
        ) from error
    program = shutil.which("docker")
    if program is None:
        raise manners.CommandFailed(
            "The program 'docker' is not in PATH: install it, or have another build the Dockerfile that 'kedro "
            "vineyard docker init' writes (podman build, buildah, kaniko)."
        )
    wanted = with_vineyard and not without_vineyard
    for name in ("Dockerfile", ".dockerignore"):
        if not os.path.lexists(project.path / name):
            text = _dockerfile(project, wanted) if name == "Dockerfile" else _read("dockerignore")
            manners.write_file(project.path / name, text, force=False)
            manners.remark(f"Wrote {name}.")
    root = os.getuid() == 0
    arguments = {
        "KEDRO_UID": (_UID if root else os.getuid()) if uid is None else uid,
        "KEDRO_GID": (_GID if root else os.getgid()) if gid is None else gid,
        "BASE_IMAGE": base_image,
        "WITH_VINEYARD": "true" if wanted else "false",
    }
    command = [program, "build"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if not any(_names_image(argument) for argument in more):
        command += ["-t", image or _image_name(project.path)]
    command += [*more, str(project.path)]
    manners.remark(shlex.join(command))
    code = subprocess.run(command, check=False).returncode
    if code:
        raise manners.CommandFailed(f"'docker build' ended with status {code}; above is why.")


def _names_image(argument: str) -> bool:
    return argument.startswith(("-t", "--tag"))


def _image_name(path: Path) -> str:
    """Return a folder's name as an image may have it.

    >>> _image_name(Path("My Shop"))
    'my-shop'
    """
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in path.name)
    return kept.lower().strip("._-") or "kedro-project"


def _dockerfile(project: Project, with_vineyard: bool) -> str:
    found = [name for name in _REQUIREMENTS if (project.path / name).is_file()]
    if not found:
        raise manners.CommandFailed(
            f"{project.path} has no {' and no '.join(_REQUIREMENTS)}: write one that lists what the image must have, "
            "Kedro among it (pip freeze tells what is installed here)."
        )
    return _Template(_read("Dockerfile")).substitute(
        base_image=BASE_IMAGE,
        requirements=found[0],
        with_vineyard="true" if with_vineyard else "false",
        vineyard=_version("vineyard"),
        plugin=_version("vineyard-kedro"),
    )


def _version(package: str) -> str:
    try:
        return packages.version(package)
    except packages.PackageNotFoundError:  # a checkout, which no one has installed
        import vineyard

        return vineyard.__version__


def _read(template: str) -> str:
    return (resources.files(_TEMPLATES) / "templates" / template).read_text(encoding="utf-8")
