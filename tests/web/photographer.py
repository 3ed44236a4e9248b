# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Somebody who looks at the page while the incident is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from browser import Page


class Photographer:
    """The camera of `rehearsal.incident`."""

    def __init__(self, page: Page, take: Callable[[str], object]) -> None:
        self.page = page
        self._take = take

    def take(self, url: str, name: str, seen: Sequence[str], chosen: str | None) -> None:
        page = self.page
        page.open_live(url)
        if chosen is not None:
            page.search(chosen)
            page.wait(lambda: page.text("sum").startswith("1 of"))
            page.element("map").click()
            page.wait(lambda: "Names" in page.panel_lists())
            page.search(" ")
        page.wait(lambda: all(text in self._all_text() for text in seen))
        page.run("document.activeElement.blur()")
        self._take(name)

    def _all_text(self) -> str:
        """What stands there, and what the treemap says of its cells."""
        return "\n".join([self.page.run("return document.body.innerText"), *self.page.walk()])
