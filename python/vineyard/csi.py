# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values by path: a volume is a directory, and what lies below it are names.

A directory that holds a ``vineyard.sock`` is a volume: one that Kubernetes mounted, or one that
``vineyardctl volume create`` made. No file appears at the path of a value; the path below the volume
is the value's name in it. Symbolic links, relative paths and ``..`` mean what they mean for files.

>>> from vineyard import csi
>>> csi.write({"rows": 3}, "/vineyard/data/step1")  # doctest: +SKIP
>>> csi.read("/vineyard/data/step1")  # doctest: +SKIP
{'rows': 3}
"""

from __future__ import annotations

import builtins
import os
import stat
from typing import Any

from vineyard._core import ObjectID
from vineyard.client import Client
from vineyard.connecting import shared_client
from vineyard.errors import InvalidException, ObjectNotExistsException, VolumeNotFoundException

SOCKET = "vineyard.sock"

Path = str | os.PathLike[str]


def write(value: Any, path: Path, *, timeout: float | None = None, **kwargs: Any) -> ObjectID:
    """Stores a value under a path.

    What was there is replaced in one step: a reader sees the old value or the new one. The old one
    is freed when nobody uses it any more.

    Parameters
    ----------
    value : object
    path : path
        Somewhere below a volume's directory.
    timeout : float, optional
        Seconds to wait, for memory above all.

    Raises
    ------
    VolumeNotFoundException
        No directory on the way up from `path` is a volume (a FileNotFoundError).
    """
    client, name = _open(path)
    return client.put(value, name=name, timeout=timeout, **kwargs)


def read(path: Path, *, wait: bool = False, timeout: float | None = None, **kwargs: Any) -> Any:
    """The value that was stored under a path.

    Parameters
    ----------
    path : path
    wait : bool
        Wait until something is stored there, for as long as the deadline allows.
    timeout : float, optional
        In seconds.

    Raises
    ------
    ObjectNotExistsException
        Nothing is stored there (a KeyError).
    VolumeNotFoundException
        No directory on the way up from `path` is a volume (a FileNotFoundError).
    """
    client, name = _open(path)
    try:
        return client.get(name=name, wait=wait, timeout=timeout, **kwargs)
    except ObjectNotExistsException as error:
        raise _nothing(path, name, client) from error


def exists(path: Path, *, timeout: float | None = None) -> bool:
    """Whether a value is stored under a path."""
    client, name = _open(path)
    try:
        client.get_name(name, timeout=timeout)
    except ObjectNotExistsException:
        return False
    return True


def delete(path: Path, *, timeout: float | None = None) -> None:
    """Takes a value away; it is freed when nobody uses it any more.

    Raises
    ------
    ObjectNotExistsException
        Nothing is stored there (a KeyError).
    """
    client, name = _open(path)
    if not client.drop_name(name, timeout=timeout):
        raise _nothing(path, name, client)


def list(path: Path, *, timeout: float | None = None) -> builtins.list[str]:
    """Where values are stored below a path, relative to it, sorted.

    `path` may be the volume's directory, or any path below it.
    """
    volume, name = _split(path)
    prefix = f"{name}/" if name else ""
    client = shared_client(os.path.join(volume, SOCKET))
    names = client.list_names(prefix, prefix=True, timeout=timeout)
    return sorted(found.removeprefix(prefix) for found in names)


def client(path: Path) -> Client:
    """The client that reads and writes values of the volume in which a path lies.

    `path` may be the volume's directory, or any path below it. The client is shared by all that use
    the volume in this process: leave it open.

    Examples
    --------
    >>> import vineyard
    >>> from vineyard import csi
    >>> vineyard.enable_allocator(csi.client("/vineyard/data"))  # doctest: +SKIP
    True
    """
    return shared_client(os.path.join(_split(path)[0], SOCKET))


def _open(path: Path) -> tuple[Client, str]:
    volume, name = _split(path)
    if not name:
        raise InvalidException(f"'{os.fspath(path)}' is a volume: name something below it")
    return shared_client(os.path.join(volume, SOCKET)), name


def _split(path: Path) -> tuple[str, str]:
    """The directory of the volume that a path lies in, and the name below it."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidException(f"{text!r} is no path of a value")
    real = os.path.realpath(text)
    directory = real
    hidden = ""  # the uppermost directory that this user may not look into
    while not (found := _is_volume(directory)):
        if found is None:
            hidden = directory
        parent = os.path.dirname(directory)
        if parent == directory:
            raise VolumeNotFoundException(
                f"'{text}' lies in no volume: no directory from '{os.path.dirname(real)}' up to '/' "
                f"holds a {SOCKET} (vineyardctl volume create makes one)"
                + (f"; this user may not look into '{hidden}'" if hidden else "")
            )
        directory = parent
    name = os.path.relpath(real, directory) if real != directory else ""
    if name == SOCKET or name.startswith(f"{SOCKET}/"):
        raise InvalidException(f"'{text}' is the socket of a volume, and can't be a value")
    return directory, name


def _is_volume(directory: str) -> bool | None:
    """None: this user may not know."""
    try:
        return stat.S_ISSOCK(os.stat(os.path.join(directory, SOCKET)).st_mode)
    except PermissionError:
        return None
    except OSError:
        return False


def _nothing(path: Path, name: str, client: Client) -> ObjectNotExistsException:
    return ObjectNotExistsException(
        f"nothing is stored at '{os.fspath(path)}' (name {name!r} in volume {client.volume!r})"
    )
