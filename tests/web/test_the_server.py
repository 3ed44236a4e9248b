# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A server that wants a token, goes away and comes back, or answers some questions only."""

import hashlib
import re
import time

from fake import PAGE, FakeServer


def give(page, token):
    field = page.element("token")
    field.clear()
    field.send_keys(token, "\ue007")


def test_a_token_is_asked_for_and_kept_for_the_tab(page, store):
    store.put("secret")
    server = FakeServer(store, token="open sesame".replace(" ", "-"))
    try:
        page.open(server.url)
        page.wait(lambda: page.element("token-dialog").is_displayed())
        assert page.focused() == "token" and page.walk() == []
        give(page, "wrong")
        page.wait_for(lambda: page.text("token-why"), "The server refused that token.")
        give(page, "not\u00e9")
        page.wait(lambda: "letters, digits" in page.text("token-why"))
        give(page, "open-sesame")
        page.wait(lambda: page.text("status") == "live" and len(page.walk()) == 3)
        assert not page.element("token-dialog").is_displayed()
        page.driver.refresh()
        page.wait(lambda: page.text("status") == "live")
        assert page.run("return [localStorage.length, document.cookie]") == [0, ""]
        assert not any("sesame" in path for path in server.asked)
        server.token = "another"
        page.wait(lambda: page.element("token-dialog").is_displayed())
        give(page, "another")
        page.wait(lambda: page.text("status") == "live")
    finally:
        server.stop()


def test_the_last_data_stays_while_the_server_is_away(page, store):
    store.put("kept")
    server = FakeServer(store)
    page.open_live(server.url)
    cells = page.walk()
    port = server.server_address[1]
    server.stop()
    page.wait(lambda: "The server does not answer" in page.text("status"))
    assert "What is shown is of" in page.text("status")
    assert page.walk() == cells
    # Another one, that has counted its list's versions up to the same number.
    store.objects.clear()
    store.put("other")
    store.version = 2
    server = FakeServer(store, port=port)
    try:
        page.wait(lambda: page.text("status") == "live")
        page.wait(lambda: any("“other”" in said for said in page.walk()))
    finally:
        server.stop()


def test_a_server_that_breaks_off_is_said_to_be_away(page, store, fake, monkeypatch):
    page.open_live(fake.url)
    with monkeypatch.context() as broken:
        broken.setattr(type(store), "state", lambda self: 1 / 0)
        page.wait(lambda: "The server does not answer" in page.text("status"))
    page.wait(lambda: page.text("status") == "live")


def test_one_question_that_is_not_answered_spoils_no_other(page, store, fake):
    store.trouble = {"/api/v1/clients": 503, "/api/v1/history": 404}
    store.put("there")
    page.open_live(fake.url)
    page.wait(lambda: page.text("clients-note") == "Not up to date: the engine does not answer")
    assert (
        page.element("history-note").is_displayed()
        and not page.element("waits-note").is_displayed()
    )
    assert len(page.walk()) == 3
    store.trouble = {}
    page.wait(lambda: not page.element("clients-note").is_displayed())


def test_an_engine_that_is_being_replaced_is_said_so(page, store, fake):
    page.open_live(fake.url)
    store.trouble = {"/api/v1/state": 503}
    page.wait(lambda: "The server says “the engine does not answer”" in page.text("status"))
    store.trouble = {}
    page.wait(lambda: page.text("status") == "live")


def test_what_is_unchanged_is_not_sent_again(page, store, fake):
    store.put("one")
    page.open_live(fake.url)
    lists = [path for path in fake.asked if path.startswith("/api/v1/objects")]
    assert lists[0] == "/api/v1/objects"
    page.wait(
        lambda: (
            len([path for path in fake.asked if path == f"/api/v1/objects?since={store.version}"])
            >= 2
        )
    )
    assert fake.asked.count("/api/v1/objects") == 1


def test_a_page_that_nobody_looks_at_asks_nothing(page, store, fake):
    page.open_live(fake.url)
    hide = """Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
              document.dispatchEvent(new Event("visibilitychange"));"""
    page.run(hide, True)

    def is_quiet():
        before = len(fake.asked)
        time.sleep(5)  # in which a page that is looked at asks
        return len(fake.asked) == before

    page.wait(is_quiet)
    asked = len(fake.asked)
    page.run(hide, False)
    page.wait(lambda: len(fake.asked) > asked)


def test_the_files_of_others_are_those_that_are_named():
    vendor = PAGE / "vendor"
    rows = re.findall(
        r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(), re.M
    )
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.iterdir()}
    del sums["README.md"]
    assert dict(rows) == sums
