# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays whose memory lies in the store from the beginning."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from vineyard.calls.refs import Calls
from vineyard.errors import InvalidException, TypeErrorException

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_MAX = 2**63 - 1


class MemoryCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    def empty(
        self,
        shape: SupportsIndex | Sequence[SupportsIndex],
        dtype: DTypeLike = float,
        order: Literal["C", "F"] = "C",
        *,
        timeout: float | None = None,
    ) -> np.ndarray[Any, Any]:
        """An array that `put` stores without a copy.

        It is an ordinary array, and may be used as one before and after it is put, as long as it is
        there: what `put` stored stays as it was, and what is written afterwards is seen by this
        process alone. `put` recognises its memory in whatever lies over it: views and slices that
        make up at least half of it, data frames made with ``copy=False``, Arrow buffers, tensors.
        Read `put` (``copy=``) and `explain` for what is copied after all.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : data-type, optional
            Default: float64. What holds Python objects has no place in shared memory.
        order : {"C", "F"}, optional
            Row-major or column-major.
        timeout : float, optional
            Seconds to wait for memory.

        Returns
        -------
        numpy.ndarray
            Writable, not initialised. Of up to ``inline_max`` bytes (256 KiB), which `put` copies in
            any case, it is ordinary memory. Of more it counts as used memory of the instance until
            the last array over it is gone.

        Raises
        ------
        TypeErrorException
            The dtype holds Python objects.
        InvalidException
            The shape is negative or too large (a ValueError).
        NotEnoughMemoryException
            It does not fit: never, or not by the deadline.

        Examples
        --------
        >>> import numpy as np, vineyard
        >>> with vineyard.connect() as client:  # doctest: +SKIP
        ...     array = client.empty((1000, 1000))
        ...     array[:] = np.arange(1000)
        ...     ref = client.put(array)  # copies nothing
        ...     array += 1  # yours alone
        ...     float(client.get(ref)[5, 7])
        7.0
        """
        kind = _plain_dtype(dtype)
        dimensions = _dimensions(shape)
        if order not in ("C", "F"):
            raise InvalidException(f"order is {order!r}: it must be 'C' or 'F'")
        nbytes = math.prod(dimensions) * kind.itemsize
        # numpy bounds the dimensions without zeros, so that strides do not overflow.
        if math.prod(n for n in dimensions if n) * kind.itemsize > _MAX:
            raise InvalidException(f"an array of shape {dimensions} and {kind} is too large")
        try:
            np.broadcast_to(np.uint8(0), dimensions)  # refuses too many dimensions
        except ValueError as error:
            raise InvalidException(f"shape {dimensions}: {error}") from None
        if nbytes <= self._core.inline_max:
            return np.empty(dimensions, kind, order)
        memory: Any = self._core.allocate(nbytes, timeout)
        return np.ndarray(dimensions, kind, memory, order=order)


def _plain_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        kind = np.empty(0, dtype).dtype  # "U" and "S" get a length of 1 there
    except TypeError as error:
        raise TypeErrorException(str(error)) from None
    if kind.hasobject or kind.kind in "OT":
        raise TypeErrorException(
            f"an array of {kind!r} holds references to memory elsewhere: it can't lie in the store. "
            "Make it with numpy.empty; put copies what it holds"
        )
    # What np.empty takes of a subarray into the shape stays in the dtype here.
    whole = np.dtype(dtype)
    return whole if whole.itemsize else kind


def _dimensions(shape: Any) -> tuple[int, ...]:
    dimensions: tuple[int, ...]
    try:
        if isinstance(shape, SupportsIndex):
            dimensions = (operator.index(shape),)
        else:
            dimensions = tuple(operator.index(n) for n in shape)
    except TypeError:
        raise TypeErrorException(
            f"a shape is an int or a sequence of ints, not {shape!r:.100}"
        ) from None
    if any(n < 0 for n in dimensions):
        raise InvalidException(f"shape {dimensions} has a negative dimension")
    if any(n > _MAX for n in dimensions):
        raise InvalidException(f"an array of shape {dimensions} is too large")
    return dimensions
