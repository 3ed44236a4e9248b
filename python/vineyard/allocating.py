# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""numpy's own allocations from the store: `allocator` and `enable_allocator`."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING

from vineyard import _core
from vineyard.client import Client
from vineyard.connecting import default_client, find_socket
from vineyard.errors import FailedPreconditionException, InvalidException, TypeErrorException

if TYPE_CHECKING:
    from vineyard._core import Allocator

#: Bytes. Below, a put copies sooner than memory of the store is had.
THRESHOLD = 1 << 20
_MAX = 2**63 - 1

#: The handlers that ``with`` blocks of a context have replaced, the innermost block's last. Of contexts,
#: as numpy's own choice is: one `allocator` may be entered by several threads at once.
_replaced: ContextVar[tuple[object, ...]] = ContextVar("vineyard_replaced_handlers", default=())

_lock = threading.Lock()
#: What the allocator of the whole process uses; it is kept for arrays that are there still.
_enabled: tuple[Client, Allocator] | None = None


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # whoever held it is not in this process


os.register_at_fork(after_in_child=_renew_lock)


class allocator:
    """While it is entered, numpy makes large arrays in memory of the store.

    `put` copies nothing of such an array, or of what lies over it (data frames, Arrow buffers,
    tensors, views of at least half of it): see `Client.empty`. This holds for the results of any
    numpy or pandas code that the ``with`` block runs in its own context: the thread, and what asyncio
    runs in copies of that context. Other threads go on as they were (see `enable_allocator`), unless
    they enter it, too.

    Arrays live on after the block, and after the client, as ordinary arrays do. What is freed without
    having been put is kept warm for the next array, for five seconds or until somebody else needs
    the memory; so an array of `numpy.empty` that is put before it is written to may show older bytes
    of this process. Where the store has no memory, numpy's own allocator serves, and `put` copies.

    Parameters
    ----------
    client : Client
        Whose volume gives the memory.
    threshold : int, optional
        Bytes of the smallest array that comes from the store. Each takes 256 KiB at least.
    limit : int, optional
        Bytes that arrays which have not been put, and what is kept for the next, may take together:
        by default half of what the volume may hold. It holds for all allocators of the client.

    Raises
    ------
    TypeErrorException
        `client` is no `Client`.
    InvalidException
        `threshold` or `limit` makes no sense.
    FailedPreconditionException
        The client has been closed.

    Examples
    --------
    >>> import numpy as np, vineyard
    >>> with vineyard.connect() as client:  # doctest: +SKIP
    ...     with vineyard.allocator(client) as memory:
    ...         table = np.arange(1_000_000) * 2.0
    ...     ref = client.put(table)  # copies nothing
    ...     memory.allocations
    2
    """

    def __init__(
        self, client: Client, *, threshold: int = THRESHOLD, limit: int | None = None
    ) -> None:
        self._allocator = _make(client, threshold, limit)

    def __enter__(self) -> Allocator:
        before = _core.set_handler(_core.make_handler(self._allocator))
        _replaced.set((*_replaced.get(), before))
        return self._allocator

    def __exit__(self, *exc: object) -> None:
        replaced = _replaced.get()
        if (
            replaced
        ):  # else it was entered in a context that ends elsewhere: this one has no part in it
            _core.set_handler(replaced[-1])
            _replaced.set(replaced[:-1])


def enable_allocator(
    client: Client | None = None,
    *,
    threshold: int = THRESHOLD,
    limit: int | None = None,
    force: bool = False,
) -> bool:
    """From now on numpy makes large arrays in memory of the store, in all threads.

    As `allocator`, for the whole process: it stands in front of numpy's default allocation handler,
    which serves every thread and context that was given no other. The environment variable
    ``VINEYARD_ALLOCATOR=on`` (or ``force``) does the same for programs that know nothing of it.

    Shared memory without huge pages is slower than other memory, and such arrays would make the
    program slower: where the kernel gives it none this warns, and does nothing.

    Parameters
    ----------
    client : Client, optional
        Whose volume gives the memory: by default the one that `vineyard.put` uses.
    threshold, limit : int, optional
        As of `allocator`.
    force : bool
        Also without huge pages.

    Returns
    -------
    bool
        Whether it is enabled now.

    Raises
    ------
    ConnectionFailedException
        No client was given, and there is no instance (a ConnectionError).

    Warns
    -----
    RuntimeWarning
        There are no huge pages, and nothing was done.

    Examples
    --------
    >>> import numpy as np, vineyard
    >>> vineyard.enable_allocator()  # doctest: +SKIP
    True
    >>> ref = vineyard.put(np.ones(1_000_000))  # doctest: +SKIP
    >>> vineyard.disable_allocator()  # doctest: +SKIP
    """
    global _enabled
    missing = "" if force else _core.missing_huge_pages()
    if missing:
        warnings.warn(
            "the allocator stays off: shared memory gets no huge pages here, and arrays in it would "
            f"make this program slower; {missing}; or enable it with force",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    used = default_client() if client is None else client
    with _lock:
        made = _make(used, threshold, limit)
        _core.set_default_allocator(made)
        _enabled = used, made
    return True


def disable_allocator() -> None:
    """Undoes `enable_allocator`: new arrays are ordinary memory. Those that are there stay valid."""
    global _enabled
    with _lock:
        _core.set_default_allocator(None)
        ended, _enabled = _enabled, None
    if ended is not None:
        ended[1].give_back()


def enabled_allocator() -> Allocator | None:
    """What `enable_allocator` has set up, with its counts."""
    return None if _enabled is None else _enabled[1]


def _make(client: Client, threshold: int, limit: int | None) -> Allocator:
    if not isinstance(client, Client):
        raise TypeErrorException(
            f"the allocator needs a vineyard.Client, not {type(client).__name__}"
        )
    if not client.connected:
        raise FailedPreconditionException("this client has been closed")
    if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < 1:
        raise InvalidException(f"threshold is {threshold!r}: it is a positive number of bytes")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0):
        raise InvalidException(f"limit is {limit!r}: it is a positive number of bytes")
    made: Allocator = client._core.make_allocator(min(threshold, _MAX), min(limit or 0, _MAX))
    return made


# ---- programs that know nothing of it


def enable_as_environment_says() -> None:
    """What ``VINEYARD_ALLOCATOR`` asks for, once numpy is there. Never fails: says on stderr why not."""
    wish = os.environ.get("VINEYARD_ALLOCATOR", "").lower()
    if wish in ("", "off", "false", "0"):
        return
    try:
        if wish not in ("on", "true", "1", "force"):
            raise InvalidException(f"it is {wish[:40]!r}, which is neither 'on', 'off' nor 'force'")
        threshold = _threshold_of_environment()
        if find_socket() is None:
            raise ConnectionError("no instance is named or found")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            enable_allocator(threshold=threshold, force=wish == "force")
        for warning in caught:
            print(f"vineyard: VINEYARD_ALLOCATOR: {warning.message}", file=sys.stderr)
    except Exception as error:
        print(f"vineyard: VINEYARD_ALLOCATOR has no effect: {error}", file=sys.stderr)


def _threshold_of_environment() -> int:
    text = os.environ.get("VINEYARD_ALLOCATOR_THRESHOLD")
    if not text:
        return THRESHOLD
    if not text.isascii() or not text.isdecimal():
        raise InvalidException(
            f"VINEYARD_ALLOCATOR_THRESHOLD is {text[:40]!r}: it is a number of bytes"
        )
    return int(text)
