# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The ways to hand over: what each needs to run, and how it forgets what a run left."""

from __future__ import annotations

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import vineyard
from seeing import instance

from kedro_ways import s3_server
from kedro_ways.project import Project


class Way(ABC):
    """One way: an environment of the project, and what is behind it.

    Attributes
    ----------
    name : str
        The project's environment (``kedro run -e``).
    title : str
        As tables call it.
    settings : str
        For the reader of the result.
    variables : dict
        Environment variables of the nodes.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[str]

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    @abstractmethod
    def forget(self) -> None:
        """Remove all tables that nodes have handed over."""


class Vineyard(Way):
    """Tables stay in the memory of an instance."""

    name = "vineyard"
    title = "vineyard"
    settings = "vineyardd of this checkout with --size and --reserve_memory; VineyardDataset"

    def __init__(self, socket: str) -> None:
        super().__init__({"VINEYARD_IPC_SOCKET": socket})
        self._socket = socket

    def forget(self) -> None:
        with vineyard.connect(self._socket) as client:
            for name in client.list_names("", prefix=True):
                client.drop_name(name)


class S3(Way):
    """Tables are pickled into objects of a server on this machine."""

    name = "minio-s3"
    title = "S3"

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self._bucket = folder / s3_server.BUCKET
        self.settings = (
            f"versitygw {s3_server.version()} on loopback, objects on a local disk (in the page cache); "
            "PickleDataset with s3fs"
        )

    def forget(self) -> None:
        for path in self._bucket.glob("*.pkl"):
            path.unlink()


class Files(Way):
    """Tables are pickled into files."""

    name = "cloudpickle"
    title = "files"
    settings = "PickleDataset with cloudpickle, files on a local disk (in the page cache, no fsync)"

    def __init__(self, project: Project) -> None:
        super().__init__({})
        self._folder = project.folder / "data/02_intermediate"

    def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


WAYS: dict[str, type[Way]] = {way.name: way for way in (Vineyard, S3, Files)}


@contextlib.contextmanager
def started(names: list[str], project: Project, folder: Path, size: str) -> Iterator[list[Way]]:
    """Start what the ways need; nothing of it runs afterwards.

    Parameters
    ----------
    names : list of str
        Of `WAYS`.
    project : Project
    folder : Path
        For what the ways keep on the disk.
    size : str
        Of the instance.
    """
    ways: list[Way] = []
    with contextlib.ExitStack() as stack:
        for name in names:
            if name == Vineyard.name:
                there = stack.enter_context(
                    instance.running(size, http=False, options=["--reserve_memory"])
                )
                ways.append(Vineyard(there.socket))
            elif name == S3.name:
                objects = folder / "s3"
                ways.append(S3(objects, stack.enter_context(s3_server.running(objects))))
            else:
                ways.append(Files(project))
        yield ways
