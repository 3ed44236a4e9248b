# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a client does where its program does not say: by the environment, the configuration file, or
where it runs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from vineyard import _core
from vineyard.errors import InvalidException

RUN_DIRECTORY = "/var/run"

#: The kubelet sets it in every container of a pod.
_IN_A_POD = "KUBERNETES_SERVICE_HOST"


def shows_bars(said: bool | None) -> bool:
    """Whether long transfers show a bar: as the program says, else ``VINEYARD_PROGRESS``, else yes."""
    if said is not None:
        return said
    text = os.environ.get("VINEYARD_PROGRESS")
    return _choice("VINEYARD_PROGRESS", text, ["on", "true", "1"], ["off", "false", "0"], True)


def allows_pickle(said: bool | None, config: str | None = None) -> bool:
    """Whether a client pickles and unpickles.

    As the program says, else ``VINEYARD_PICKLE``, else the key ``Pickle`` of the configuration file;
    else only outside of Kubernetes, where many who do not know each other may write to an instance.

    Parameters
    ----------
    said : bool, optional
    config : str, optional
        A configuration file; see `vineyard.connect`.

    Raises
    ------
    InvalidException
        What was set is neither ``allow`` nor ``refuse``, or a file that was named can't be read.
    """
    if said is not None:
        return said
    name, text = "VINEYARD_PICKLE", os.environ.get("VINEYARD_PICKLE")
    if not text:
        name, text = (
            "Pickle in the configuration",
            _core.find_setting("Pickle", config, RUN_DIRECTORY),
        )
    return _choice(name, text, ["allow"], ["refuse"], not os.environ.get(_IN_A_POD))


def _choice(
    name: str, text: str | None, yes: Sequence[str], no: Sequence[str], default: bool
) -> bool:
    if not text:
        return default
    if text.lower() not in (*yes, *no):
        raise InvalidException(
            f"{name} is {text[:40]!r}, which is neither {yes[0]!r} nor {no[0]!r}"
        )
    return text.lower() in yes
