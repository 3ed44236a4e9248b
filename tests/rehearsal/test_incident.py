# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The incident that the guide shows: that it can still be solved as it says."""

import re
from pathlib import Path

from rehearsal import incident

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "operating.md"


def commands(text: str) -> list[str]:
    return re.findall(r"^\$ (vineyardctl .*)$", text, re.MULTILINE)


def test_the_incident_is_solved_by_the_commands_that_the_guide_shows():
    played = incident.transcript()
    shown = GUIDE.read_text().partition(incident.BEGIN)[2].partition(incident.END)[0]
    assert commands(played)
    assert commands(shown) == commands(played)
