# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The incident of docs/guides/operating.md, as the page shows it."""

from __future__ import annotations

from photographer import Photographer
from rehearsal import incident


def test_the_page_shows_the_incident(page):
    """What must be seen is said by the incident, and the photographer waits for it."""
    taken: list[str] = []
    text = incident.transcript(Photographer(page, taken.append))
    assert taken == ["incident-full", "incident-why"]
    assert all(f"../images/{name}.png" in text for name in taken)
