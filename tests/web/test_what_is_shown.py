# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the page shows is what the store holds, while that changes."""

import pytest
from selenium.webdriver.common.by import By


def names_shown(page):
    return {row["Id"]: row["Name or id"] for row in page.objects()}


def expected(served):
    return {key: name or key for key, name in served.contents().items()}


def test_the_table_follows_the_store(page, served):
    served.put("first", 1000)
    page.open_live(served.url)
    page.run("window.same = true")
    page.choose("view", "table")
    page.wait_for(lambda: names_shown(page), expected(served))
    second = served.put("second", 500_000)
    served.put(None, 70)
    page.wait_for(lambda: names_shown(page), expected(served))
    served.delete(second)
    page.wait_for(lambda: names_shown(page), expected(served))
    assert len(expected(served)) == 2
    assert page.run("return window.same"), "the page was loaded again"


def test_the_map_has_the_same_objects(page, served):
    for index in range(12):
        served.put(f"name {index}", 1000 * (index + 1))
    page.open_live(served.url)
    page.wait_for(
        lambda: {said.split()[0] for said in page.walk()} & set(served.contents()),
        set(served.contents()),
    )
    gone = next(iter(served.contents()))
    served.delete(gone)
    page.wait_for(lambda: any(gone in said for said in page.walk()), False)


def test_the_panel_says_why_an_object_is_there(page, served):
    key = served.put("model", 300_000)
    page.open_live(served.url)
    page.choose("view", "table")
    page.wait(lambda: names_shown(page).get(key))
    page.driver.find_element(By.CSS_SELECTOR, "#objects-table tbody button").click()
    page.wait_for(lambda: page.text("panel-title"), key)
    page.wait(lambda: page.panel_lists().get("Names") == ["model"])
    served.delete(key)
    page.wait_for(lambda: page.text("panel-body"), "It is gone.")


def test_reasons_advice_and_holders_are_told_and_stay_up_to_date(page, store, fake):
    parent = store.put("whole")
    holder = {
        "pid": 99,
        "program": "train",
        "pod": "p-1",
        "client": 3,
        "mapped_bytes": 2048,
        "pinned": True,
    }
    key = store.put(
        "part",
        reasons=["the name part refers to it"],
        advice=["drop the name"],
        held_by=[holder],
        members_of=[parent],
    )
    page.open_live(fake.url)
    page.search(key)
    page.wait(lambda: page.text("sum").startswith("1 of 2"))
    page.element("map").click()  # in the middle, where the one cell is
    page.wait_for(lambda: page.panel_lists().get("Why it is there"), ["the name part refers to it"])
    assert page.panel_lists()["What may be done"] == ["drop the name"]
    assert page.panel_lists()["Held by"] == ["train 99 in p-1: 2.0 KiB, pinned"]
    with store.lock:
        store.objects["default", key].reasons[0] = "somebody has it mapped"
    page.wait_for(lambda: page.panel_lists()["Why it is there"], ["somebody has it mapped"])
    page.driver.find_element(By.CSS_SELECTOR, "#panel-body section li button").click()
    page.wait_for(lambda: page.text("panel-title"), parent)


def test_all_memory_is_in_the_bar(page, store, fake):
    store.ready = 5 << 20
    store.add_volume(
        "default", writing=3 << 20, lingering=1 << 20, idle=9, records=100, slack=20, catalog=4096
    )
    store.add_volume("features", writing=1 << 20, moving=77)
    store.put("x", size=4 << 20)
    page.open_live(fake.url)
    figures = page.run(
        """return [...document.querySelectorAll("#memory-legend li:not([hidden])")].map(
              (item) => [item.textContent, Number(item.lastChild.dataset.value)])"""
    )
    by_text = {text.rsplit(" ", 4)[0]: value for text, value in figures}
    assert sum(by_text.values()) == store.limit
    assert by_text["objects"] == 4 << 20
    assert by_text["being written"] == 4 << 20
    assert by_text["deleted, still mapped"] == 1 << 20
    assert by_text["records, catalogs, slack"] == 4216
    assert "other" not in by_text


def client(number, **more):
    basic = {"client": number, "pid": 100 + number, "program": "train", "pod": None, "uid": 1000}
    state = {
        "volume": "default",
        "connected": True,
        "read_only": False,
        "since": 0,
        "waiting": 0,
        "requests": 7,
    }
    sizes = dict.fromkeys(("mapped_bytes", "writing_bytes", "pinned_bytes", "idle_bytes"), 0)
    return basic | state | sizes | more


def test_clients_and_waits_come_and_go(page, store, fake):
    page.open_live(fake.url)
    assert page.rows("clients-table") == [] and "Nobody waits." in page.run(
        "return document.body.innerText"
    )
    wait = {"kind": "memory", "volume": "default", "client": 1, "pid": 101, "program": "train"}
    with store.lock:
        store.clients = [client(1, mapped_bytes=5), client(2, mapped_bytes=9000, pinned_bytes=3)]
        store.waits = [wait | {"what": "put", "bytes": 4096, "since_s": 3, "left_s": 57}] * 2
    page.wait_for(
        lambda: [(row["Program"], row["Maps"], row["Pins"]) for row in page.rows("clients-table")],
        [("train 102", "9000", "3"), ("train 101", "5", "0")],
    )
    page.wait_for(
        lambda: [(row["Waits"], row["Bytes"]) for row in page.rows("waits-table")],
        [("for memory", "4096")] * 2,
    )
    with store.lock:
        store.clients, store.waits = [client(2)], []
    page.wait_for(lambda: [row["Program"] for row in page.rows("clients-table")], ["train 102"])
    page.wait_for(lambda: page.rows("waits-table"), [])


def test_a_client_s_panel_leads_to_what_it_made(page, store, fake):
    store.put("mine", creator={"pid": 101, "uid": 1000, "pod": None})
    store.put("other", creator={"pid": 1011, "uid": 1000, "pod": None})
    store.clients = [client(1, mapped_bytes=4096)]
    page.open_live(fake.url)
    page.driver.find_element(By.CSS_SELECTOR, "#clients-table tbody button").click()
    page.wait(lambda: page.panel_facts().get("maps") == "4.0 KiB (4,096 bytes)")
    page.driver.find_element(By.CSS_SELECTOR, "#panel-body p button").click()
    page.choose("view", "table")
    page.wait_for(lambda: [row["Name or id"] for row in page.objects()], ["mine"])
    with store.lock:
        store.clients = []
    page.wait_for(lambda: page.text("panel-body"), "It is gone.")


def test_the_last_minutes_are_said_in_words_and_in_a_table(page, store, fake):
    store.history = {
        "used": [None, 1024.0, 2048.0],
        "held": [None, 4096.0, 8192.0],
        "spilled": [0, 0, 0],
        "requests_per_s": [None, 10.25, 20.5],
        "failed_per_s": [0, 0, 1],
        "waiting": [0, 0, 3],
        "latency_p50_us": [None, None, 12.0],
        "latency_p99_us": [None, None, 3400.0],
    }
    page.open_live(fake.url)
    plots = "return [...document.querySelectorAll('.plot')].map((plot) => plot.getAttribute('aria-label'))"
    page.wait_for(
        lambda: page.run(plots),
        [
            "Memory, now: objects 2.0 KiB, held 8.0 KiB, on disk 0 B",
            "Requests, now: requests 20.5/s, failed 1/s",
            "Latency, now: half below 12 µs, 99 % below 3.4 ms",
            "Waiting, now: requests 3",
        ],
    )
    assert page.run("return document.querySelectorAll('.plot canvas').length") == 4
    newest = page.rows("history-table")[0]
    assert newest["Memory: held"] == "8.0 KiB" and newest["Latency: 99 % below"] == "3.4 ms"
    store.history = {}
    page.wait_for(lambda: page.rows("history-table"), [])


@pytest.mark.parametrize(
    "words, found",
    [
        ("weights", {"weights"}),
        ("WEIGHTS", {"weights"}),
        ("o0000000000000002", {"table"}),
        ("vineyard::table", {"table"}),
        ("pid:77", {"weights"}),
        ("uid:5", {"far"}),
        ("trainer-0", {"far"}),
        ("Train.PY", {"far"}),
        ("tensor 77", {"weights", "far"}),
        ("weights table", set()),
        ("", {"weights", "table", "far"}),
    ],
)
def test_objects_are_found(page, store, fake, words, found):
    store.put("weights", creator={"pid": 77, "uid": 1, "pod": None})
    store.put("table", type="vineyard::Table", creator=None)
    store.put("far", creator={"pid": 770, "uid": 5, "pod": "trainer-0", "program": "train.py"})
    page.open_live(fake.url)
    page.choose("view", "table")
    page.search(words)
    page.wait_for(lambda: {row["Name or id"] for row in page.objects()}, found)
    page.choose("view", "map")
    page.wait_for(
        lambda: {said.split("“")[1].split("”")[0] for said in page.walk() if "“" in said}, found
    )


def test_rows_are_ordered_and_turned_by_pages(page, store, fake):
    for index in range(120):
        store.put(f"n{index:03}", size=1000 + (index * 37) % 120)
    page.open_live(fake.url)
    page.choose("view", "table")

    def column(title):
        return [row[title] for row in page.objects()]

    sizes = sorted((s.bytes for s in store.objects.values()), reverse=True)
    page.wait_for(lambda: [int(size) for size in column("Bytes")], sizes[:50])
    assert page.element("before").get_property("disabled")
    page.element("after").click()
    page.wait_for(lambda: [int(size) for size in column("Bytes")], sizes[50:100])
    page.element("after").click()
    page.wait_for(lambda: page.text("place"), "101–120 of 120")
    assert page.element("after").get_property("disabled")
    head = page.driver.find_element(By.CSS_SELECTOR, "#objects-table thead button")
    head.click()
    page.wait_for(lambda: column("Name or id"), [f"n{index:03}" for index in range(50)])
    assert page.run("return document.querySelector('#objects-table th').ariaSort") == "ascending"
    head.click()
    page.wait_for(lambda: column("Name or id"), [f"n{index:03}" for index in range(119, 69, -1)])
    # The page that is looked at is gone.
    page.element("after").click()
    page.element("after").click()
    page.wait_for(lambda: page.text("place"), "101–120 of 120")
    for key in list(
        store.contents() if hasattr(store, "contents") else [k for _, k in store.objects]
    ):
        if len(store.objects) > 60:
            store.delete(key)
    page.wait_for(lambda: page.text("place"), "51–60 of 60")


def test_volumes_and_types_are_gone_into_and_left(page, store, fake):
    store.add_volume("features")
    store.put("a", size=5000)
    store.put("b", size=4000, type="vineyard::Table")
    store.put("c", size=3000, volume="features")
    page.open_live(fake.url)
    page.wait(lambda: len(page.walk()) == 8)
    page.run("document.getElementById('map').focus()")
    page.walk()
    page.run(
        "document.getElementById('map').dispatchEvent(new KeyboardEvent('keydown', {key: 'Home'}))"
    )
    assert page.text("map-cell") == "volume default: 2 objects, 8.8 KiB"
    page.press("\ue007")
    page.wait_for(lambda: page.text("panel-title"), "volume default")
    page.driver.find_element(By.CSS_SELECTOR, "#panel-body p button").click()
    page.wait_for(lambda: page.text("sum"), "2 of 3 objects, 8.8 KiB")
    assert page.text("crumbs") == "all volumesvolume default"
    page.element("panel-close").click()
    page.run("document.getElementById('map').focus()")
    page.press("\ue00c")
    page.wait_for(lambda: page.text("sum"), "3 objects, 11.7 KiB")


def test_colours_by_state_and_age_have_a_legend_in_words(page, store, fake):
    for state in ("memory", "disk", "mixed", "writing", "lingering"):
        store.put(state, state=state, age=100)
    page.open_live(fake.url)
    legend = "return [...document.querySelectorAll('#legend li')].map((item) => item.textContent)"
    states = ["in memory", "on disk", "partly on disk", "being written", "deleted, still mapped"]
    page.wait_for(lambda: page.run(legend), states)
    assert any("partly on disk" in said for said in page.walk())
    page.choose("colour", "age")
    page.wait_for(lambda: page.run(legend), ["younger than 1 h"])
    store.put("new")
    page.wait_for(lambda: page.run(legend), ["younger than 1 min", "younger than 1 h"])


def test_small_objects_lie_together_and_none_is_lost(page, store, fake):
    store.put("large", size=1 << 30)
    small = {store.put(None, size=10 + index, state="disk") for index in range(30)}
    page.open_live(fake.url)
    page.wait(lambda: any("30 small objects" in said for said in page.walk()))
    together = next(said for said in page.walk() if "small objects" in said)
    assert together == "30 small objects, 735 B together, on disk; vineyard::Tensor in default"
    page.run("document.getElementById('map').focus()")
    page.press("\ue010", "\ue007")  # End, Enter
    page.wait_for(lambda: page.text("panel-title"), "30 small objects")
    largest = page.panel_lists()["Largest"]
    assert len(largest) == 20 and all(item.split()[0] in small for item in largest)
    assert largest[0].split()[1:3] == ["39", "B,"]
