# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names, types and everything else that programs choose are text, whatever is in them."""

import re
from pathlib import Path

import pytest
from fake import PAGE

MARKUP = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\"'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${alert(1)}",
]
CONTROLS = [
    "\x1b[31mred\x1b]0;title\x07",
    "a\u202egnp.exe",
    "zero\u200bwidth",
    "nul\x00tab\tline\n",
    "half\ud800",
]
SHOWN = [
    "\\x1b[31mred\\x1b]0;title\\x07",
    "a\\u202egnp.exe",
    "zero\\u200bwidth",
    "nul\\x00tab\\x09line\\x0a",
    "half\\ud800",
]


def fill(store, text):
    volume = text.encode(
        errors="replace"
    ).decode()  # which is part of an address, and so whole text
    store.deployment = text
    store.add_volume(volume)
    store.put(
        text,
        type=text,
        volume=volume,
        creator={"pid": 1, "uid": 2, "pod": text, "program": text},
        reasons=[text],
        advice=[text],
        members_of=[text],
        held_by=[
            {
                "pid": 9,
                "program": text,
                "pod": text,
                "client": 1,
                "mapped_bytes": 1,
                "pinned": False,
            }
        ],
    )
    sizes = dict.fromkeys(("mapped_bytes", "writing_bytes", "pinned_bytes", "idle_bytes"), 0)
    who = {"client": 1, "pid": 9, "program": text, "pod": text, "uid": 0, "volume": volume}
    store.clients = [
        who
        | sizes
        | {"connected": True, "read_only": False, "since": 1, "waiting": 1, "requests": 1}
    ]
    store.waits = [who | {"kind": text, "what": text, "bytes": 1, "since_s": 1, "left_s": 1}]


@pytest.mark.parametrize(
    "text, seen", [*zip(MARKUP, MARKUP, strict=True), *zip(CONTROLS, SHOWN, strict=True)]
)
def test_what_others_chose_is_shown_and_not_executed(page, store, fake, text, seen):
    fill(store, text)
    volume = seen.replace("\\ud800", "?")
    page.open_live(fake.url)
    elements = "return [document.querySelectorAll('script').length, document.querySelectorAll('img, svg, iframe, a[href^=java]').length]"
    before = page.run(elements)
    assert before == [2, 0]
    page.wait(lambda: any(seen in said for said in page.walk()))
    page.choose("view", "table")
    page.wait_for(
        lambda: [(row["Name or id"], row["Type"], row["Volume"]) for row in page.objects()],
        [(seen, seen, volume)],
    )
    assert page.text("deployment") == seen
    assert [row["Program"] for row in page.rows("clients-table")] == [f"{seen} 9 in {seen}"]
    assert [(row["Waits"], row["What"]) for row in page.rows("waits-table")] == [(seen, seen)]
    assert [row["Volume"] for row in page.rows("volumes-table")] == ["default", volume]
    for table, title in (
        ("objects-table", None),
        ("clients-table", f"client {seen} 9"),
        ("volumes-table", f"volume {volume}"),
    ):
        page.run(
            "[...document.querySelectorAll(`#${arguments[0]} tbody button`)].at(-1).click()", table
        )
        page.wait(
            lambda title=title: page.text("panel-title") == (title or next(iter(store.objects))[1])
        )
        page.wait(lambda: seen in page.text("panel-body"))
    page.run("document.querySelector('#objects-table tbody button').click()")
    page.wait_for(lambda: page.panel_lists().get("Why it is there"), [seen])
    assert page.panel_lists()["What may be done"] == [seen]
    assert page.panel_lists()["Names"] == [seen]
    assert page.run(elements) == before


@pytest.mark.parametrize("path", ["state", "objects", "clients", "why"])
def test_what_a_server_says_of_an_error_is_text_too(page, store, fake, path):
    store.put("one")
    page.open_live(fake.url)
    store.trouble_is = MARKUP[0]
    store.trouble = {f"/api/v1/{path}": 500}
    if path == "why":
        page.element("map").click()
    said = {"state": "status", "why": "panel-body"}.get(path, f"{path}-note")
    page.wait(lambda: MARKUP[0] in page.text(said))
    assert page.run("return document.querySelectorAll('img').length") == 0


def sources():
    return [path for path in PAGE.glob("*.*") if path.suffix in (".js", ".html")]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_no_source_makes_markup_or_code_of_text(path: Path):
    text = path.read_text(encoding="utf-8")
    risky = r"innerHTML|outerHTML|insertAdjacent(HTML|Text)|document\.write|\beval\(|new Function|DOMParser|setTimeout\([\"']"
    assert not re.search(risky, text)
    if path.suffix == ".html":
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\bsrc=)|https?://", text)
