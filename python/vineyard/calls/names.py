# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names: what they point to, versions, waiting, listing."""

from __future__ import annotations

from vineyard._core import NameInfo, ObjectID
from vineyard.calls.refs import Calls, Ref, check_text, to_id, to_name
from vineyard.errors import InvalidException, ObjectNotExistsException


class NameCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    def put_name(
        self,
        object_id: Ref,
        name: str,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        linger: float | None = None,
        durability: str = "memory",
        keep: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Points a name at an object; the name does not become its owner.

        Parameters
        ----------
        if_version : int, optional
            The version that the name must have now (0: it must not exist).
        ttl : float, optional
            Seconds after which the name is dropped; None: it stays.
        linger : float, optional
            The name lives with this client, and so many seconds longer, as in `put`.
        durability : {"memory", "disk"}
            "disk": the name outlives the instance, as in `put`, and the object becomes so too. Each
            call says anew how durable the name is.
        keep : bool
            For as long as the name points to the object all of it stays in memory, with its
            members. What of it lies on the disk is brought back first. Each call says it anew.
        timeout : float, optional
            Seconds to wait, with `keep` for memory to bring it back to.

        Returns
        -------
        int
            The version of the name: 1 for its first object, then 2, ...

        Raises
        ------
        NotEnoughMemoryException
            With `keep`: it does not fit into memory, never or not by the deadline; the name is as
            it was.
        """
        return self._core.put_name(
            to_name(name),
            to_id(object_id),
            if_version,
            False,
            ttl,
            linger,
            timeout,
            durability,
            keep,
        )

    def get_name(self, name: str, wait: bool = False, *, timeout: float | None = None) -> ObjectID:
        """The object that a name points to; with `wait`, as soon as there is one."""
        return self._core.get_name(to_name(name), wait, timeout).id

    def name_info(self, name: str, wait: bool = False, *, timeout: float | None = None) -> NameInfo:
        """What there is to know of a name.

        Returns
        -------
        NameInfo
            `name`; `id` of its object; `version`, for the next ``if_version=``; `ttl`, the seconds
            that it has still, or None; `linger`, the seconds that it stays after the end of the
            client it lives with, or None; `client_pid`, that client's process; `durable`; `keep`,
            whether it keeps its object in memory.
        """
        return self._core.get_name(to_name(name), wait, timeout)

    def drop_name(
        self, name: str, *, if_version: int | None = None, timeout: float | None = None
    ) -> bool:
        """Takes a name away; an object that it owned goes, unless something else refers to it.

        Parameters
        ----------
        if_version : int, optional
            The version that the name must have now.

        Returns
        -------
        bool
            Whether there was such a name.

        Raises
        ------
        ConflictException
            It has another version; 0 if there is no such name.
        """
        try:
            self._core.drop_name(to_name(name), if_version, timeout)
        except ObjectNotExistsException:
            return False
        return True

    def list_names(
        self,
        pattern: str = "*",
        regex: bool = False,
        limit: int | None = None,
        *,
        prefix: bool = False,
        timeout: float | None = None,
    ) -> dict[str, ObjectID]:
        """Names that match, and what they point to.

        Parameters
        ----------
        pattern : str
            A glob; a regular expression with `regex`; what names begin with, with `prefix`.
        limit : int, optional
            At most this many; None for all.
        """
        if limit is not None and limit < 0:
            raise InvalidException(f"a limit is not negative: {limit}")
        check_text(pattern, "a pattern")
        infos = self._core.list_names(pattern, regex, prefix, limit, timeout)
        return {info.name: info.id for info in infos}
