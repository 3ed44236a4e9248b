# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A dataset whose values are in vineyard: what crosses processes is a name, and the pages are mapped."""

from __future__ import annotations

from typing import Any, ClassVar

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import Version, generate_timestamp
from vineyard import Client
from vineyard.contrib.kedro.io.place import Place, connect
from vineyard.contrib.kedro.settings import seconds
from vineyard.errors import (
    ConflictException,
    NotEnoughMemoryException,
    ObjectNotExistsException,
    TypeErrorException,
)

SCOPES = ("auto", "none")


class VineyardDataset(AbstractDataset[Any, Any]):
    """A value in vineyard, under a name.

    In a run of Kedro the name belongs to that run, so that no other run sees or overwrites it: see
    `vineyard.contrib.kedro.runs`. Where the value is an input or an output of the whole pipeline, it belongs to the
    project. Outside of runs, and with ``scope="none"``, the name is exactly what was given.

    What is loaded may be written to: its pages are those of the store, and each is copied when it is first written to.
    Nobody else sees that.

    Parameters
    ----------
    name : str
        In a catalog pattern usually ``"{default}"``.
    socket : str, optional
        Of the instance; by default the one that `vineyard.connect` finds.
    scope : {"auto", "none"}
        "none": the name is used as it is, by all runs. Nothing but `release` called by hand frees it.
    ttl : str or float, optional
        How long a value stays after it was saved: "90s", "12h", "7d", or seconds. By default what is handed over in a
        run stays as the plugin's settings say, and the rest until it is removed.
    writable : bool
        False: what is loaded is read-only.
    version : Version, optional
        Set by Kedro for ``versioned: true``: each save has a name of its own, ``<name>@<version>``, and stays.
    metadata : dict, optional
        Anything. Kedro ignores it; other plugins may not.

    Raises
    ------
    DatasetError
        By `load`, `save`, `exists` and `release`: with what was asked, what is, and what to do.

    Examples
    --------
    In a catalog.yml, for all datasets that nothing else is said about:

    .. code-block:: yaml

        "{default}":
          type: vineyard.contrib.kedro.VineyardDataset
          name: "{default}"

    >>> dataset = VineyardDataset("prices")
    >>> dataset.save([1.5, 2.5])  # doctest: +SKIP
    >>> dataset.load()  # doctest: +SKIP
    [1.5, 2.5]
    """

    #: Where values go that no run has bound: set for notebooks, in which a session is open but nothing runs.
    outside_of_runs: ClassVar[Place] = Place()

    def __init__(
        self,
        name: str,
        socket: str | None = None,
        *,
        scope: str = "auto",
        ttl: str | float | None = None,
        writable: bool = True,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name or "\0" in name:
            raise DatasetError(f"a dataset in vineyard has a name, which is text, and not {name!r}")
        if scope not in SCOPES:
            raise DatasetError(f"scope of '{name}' is {scope!r}; there are: {', '.join(SCOPES)}")
        self._name = name
        self._socket = socket
        self._scope = scope
        self._ttl = seconds(f"ttl of '{name}'", ttl)
        self._writable = writable
        self._version = version
        self._place: Place | None = None
        self.metadata = metadata

    # ---- what Kedro calls

    def load(self) -> Any:
        client = self._connect()
        name = self._name_to_load(client)
        try:
            return client.get(name=name, writable=self._writable)
        except ObjectNotExistsException as error:
            raise DatasetError(self._nothing(name, client)) from error

    def save(self, data: Any) -> None:
        client, place = self._connect(), self._where()
        name, new = self.vineyard_name, None
        if self._version is not None:
            name, new = self._versioned(self.resolve_save_version()), 0
        ttl = place.ttl if self._ttl is None else self._ttl
        try:
            client.put(data, name=name, ttl=ttl, linger=place.linger, if_version=new)
        except ConflictException as error:
            raise DatasetError(
                f"'{name}' is there already, and versions are not overwritten: save with another version"
            ) from error
        except TypeErrorException as error:
            raise DatasetError(
                f"'{self._name}' can't be handed over: {error}. Let its node return something that can (see "
                "docs/guides/types.md of vineyard), or give the dataset a type of its own in the catalog; a dataset "
                "that is only used within one process may be a MemoryDataset."
            ) from error
        except NotEnoughMemoryException as error:
            raise DatasetError(
                f"'{self._name}' does not fit into vineyard: {error}. 'vineyardctl top' shows what takes the room, "
                "'kedro vineyard clean' removes what earlier runs left, 'vineyardd --size' says how much there is."
            ) from error

    def _exists(self) -> bool:
        client = self._connect()
        try:
            client.name_info(self._name_to_load(client))
        except (ObjectNotExistsException, DatasetError):
            return False
        return True

    def _release(self) -> None:
        if self._version is None and self._where().frees:
            self.free()

    def _describe(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self._name}
        if self._scope != "auto":
            told["scope"] = self._scope
        if self._place is not None:
            told["vineyard_name"] = self.vineyard_name
        if self._socket is not None:
            told["socket"] = self._socket
        if self._version is not None:
            told["version"] = self._version
        return told

    # ---- versions

    def resolve_load_version(self) -> str | None:
        """Return the version that `load` loads: the one that was asked for, else the newest; None without versions."""
        if self._version is None:
            return None
        if self._version.load:
            return str(self._version.load)
        names = self._connect().list_names(self._versioned(""), prefix=True)
        newest = max(names, default=None)
        return None if newest is None else newest.removeprefix(self._versioned(""))

    def resolve_save_version(self) -> str | None:
        """Return the version that `save` saves; None without versions."""
        if self._version is None:
            return None
        return str(self._version.save or generate_timestamp())

    def _versioned(self, version: str | None) -> str:
        return f"{self.vineyard_name}@{version}"

    def _name_to_load(self, client: Client) -> str:
        if self._version is None:
            return self.vineyard_name
        version = self.resolve_load_version()
        if version is None:
            raise DatasetError(self._nothing(self._versioned("*"), client))
        return self._versioned(version)

    # ---- runs

    @property
    def vineyard_name(self) -> str:
        """The name in vineyard, without a version."""
        return self._where().prefix + self._name

    @property
    def socket(self) -> str | None:
        """The instance's, where this dataset names one."""
        return self._socket

    def bind(self, place: Place) -> None:
        """Have the values go to a place; a dataset with ``scope="none"`` stays where it is."""
        if self._scope == "none":
            place = Place(
                socket=place.socket, frees=False, embedded=place.embedded, story=place.story
            )
        self._place = place
        self._EPHEMERAL = place.ephemeral and self._version is None

    def free(self) -> None:
        """Remove the value, whoever may want it."""
        self._connect().drop_name(self.vineyard_name)

    def _where(self) -> Place:
        if self._place is not None:
            return self._place
        return Place() if self._scope == "none" else self.outside_of_runs

    def _connect(self) -> Client:
        place = self._where()
        return connect(self._socket or place.socket, embedded=place.embedded)

    def _nothing(self, name: str, client: Client) -> str:
        story = self._where().story or "Nobody has saved it, or it was removed."
        return f"'{self._name}' is not in vineyard (as '{name}', at '{client.ipc_socket}'). {story}"


class VineyardDataSet(VineyardDataset):
    """`VineyardDataset` under the name and with the arguments that it had for Kedro 0.18.

    Parameters
    ----------
    ds_name : str
    vineyard_ipc_socket : str, optional
    """

    def __init__(
        self,
        ds_name: str,
        vineyard_ipc_socket: str | None = None,
        *,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(ds_name, vineyard_ipc_socket, version=version, metadata=metadata)
