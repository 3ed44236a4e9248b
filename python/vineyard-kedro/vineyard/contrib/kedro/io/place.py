# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where in vineyard a dataset's values go, which a run decides, and how an instance is reached."""

from __future__ import annotations

from dataclasses import dataclass

from kedro.io import DatasetError
from vineyard import Client
from vineyard.codecs import import_codecs
from vineyard.connecting import find_socket, shared_client
from vineyard.errors import ConnectionFailedException

START = (
    "Start one with 'vineyardd --size 4Gi' (in another terminal, or with '&'), or name the socket of one that "
    "runs in VINEYARD_IPC_SOCKET."
)


@dataclass(frozen=True)
class Place:
    """Where the values of one dataset go in a run, and for how long.

    Attributes
    ----------
    prefix : str
        Of the name.
    socket : str, optional
        Of the instance, where the dataset names none; None: the one that `vineyard.connect` finds.
    ttl, linger : float, optional
        Seconds, as in `vineyard.Client.put`.
    frees : bool
        Whether `release` frees the value: no other process may want it.
    ephemeral : bool
        Whether it goes with the run.
    embedded : bool
        Whether a private instance of this process may be started where there is none.
    story : str
        What a message adds about a value that is not there.
    """

    prefix: str = ""
    socket: str | None = None
    ttl: float | None = None
    linger: float | None = None
    frees: bool = True
    ephemeral: bool = False
    embedded: bool = True
    story: str = ""


def connect(socket: str | None, *, embedded: bool) -> Client:
    """Return this process' client of an instance.

    Raises
    ------
    DatasetError
        There is none.
    """
    try:
        found = find_socket(socket)
        if found is None:
            if not embedded:
                raise DatasetError(
                    f"Parts of a pipeline that run as processes of their own need a vineyard instance, and none runs on "
                    f"this machine. {START}"
                )
            from vineyard import embedded as private

            found = private.ensure_started()
        import_codecs()
        return shared_client(found)
    except ConnectionFailedException as error:
        raise DatasetError(f"No vineyard instance answers: {error}. {START}") from error
