# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The page without a mouse, on a phone, in the dark, and for a screen reader."""

import pytest
from selenium.webdriver.common.by import By

TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"

# Everything that Tab should reach: one for each group of radio buttons, and nothing that is not shown.
REACHABLE = """
const all = [...document.querySelectorAll("a[href], button:enabled, input, summary, [tabindex='0']")];
return all.filter((element) => element.checkVisibility() && !(element.type === "radio" && !element.checked))
          .map((element) => (element.dataset.number = all.indexOf(element)));
"""
FOCUSED = """
const element = document.activeElement;
const style = getComputedStyle(element);
return [Number(element.dataset.number ?? -1), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
"""


@pytest.fixture
def filled(store):
    store.add_volume("features")
    for index in range(9):
        store.put(
            f"n{index}",
            size=1000 * (index + 1),
            volume=("default", "features")[index % 2],
            type=("vineyard::Tensor", "vineyard::Table")[index % 3 == 0],
        )
    sizes = dict.fromkeys(("mapped_bytes", "writing_bytes", "pinned_bytes", "idle_bytes"), 1 << 20)
    who = {
        "client": 1,
        "pid": 9,
        "program": "train-a-long-program-name",
        "pod": "some-pod-of-kubernetes-7f9c",
        "uid": 0,
        "volume": "default",
    }
    store.clients = [
        who
        | sizes
        | {"connected": True, "read_only": True, "since": 1, "waiting": 1, "requests": 1}
    ]
    store.waits = [who | {"kind": "name", "what": "n" * 300, "bytes": 1, "since_s": 1, "left_s": 1}]
    store.history = {
        "used": [1, 2, 3],
        "held": [1, 2, 3],
        "spilled": [0, 0, 0],
        "requests_per_s": [5, 6, 7],
    }
    return store


@pytest.mark.parametrize("view", ["map", "table"])
def test_tab_reaches_everything_and_is_seen(page, filled, fake, view):
    page.open_live(fake.url)
    page.choose("view", view)
    if view == "table":
        page.wait(lambda: len(page.objects()) == 9)
    wanted = page.run(REACHABLE)
    seen = []
    for _ in range(len(wanted) + 3):  # round once, past the end of the document
        page.press(TAB)
        number, outlined = page.run(FOCUSED)
        if number < 0:
            continue
        assert outlined, page.run("return document.activeElement.outerHTML")
        if number not in seen:
            seen.append(number)
    assert sorted(seen) == sorted(wanted)


def test_arrows_move_in_the_map_and_enter_and_escape_open_and_close(page, filled, fake):
    page.open_live(fake.url)
    said = page.walk()
    assert len(said) == 2 + 4 + 9
    page.run("document.getElementById('map').focus()")
    page.press("\ue011")  # Home
    assert page.text("map-cell").startswith("volume ")
    reached = {page.text("map-cell")}
    # By arrows alone: from each cell in all four directions, until nothing new is found.
    keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]
    reached |= set(
        page.run(
            """
        const [map, text] = [document.getElementById("map"), document.getElementById("map-cell")];
        const press = (key) => map.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        const go = (name) => { press("Home"); while (text.textContent !== name) press("PageDown"); };
        const seen = new Set();
        const left = [text.textContent];
        while (left.length) {
          const from = left.pop();
          if (seen.has(from)) continue;
          seen.add(from);
          for (const key of arguments[0]) { go(from); press(key); left.push(text.textContent); }
        }
        return [...seen];
        """,
            keys,
        )
    )
    assert reached == set(said)
    page.press("\ue010", ENTER)  # End
    page.wait(lambda: page.focused() == "panel-title")
    page.press(ESCAPE)
    assert page.focused() == "map" and not page.element("panel").is_displayed()


def test_what_has_the_focus_keeps_it_while_figures_change(page, filled, fake):
    page.open_live(fake.url)
    page.choose("view", "table")
    page.wait(lambda: len(page.objects()) == 9)
    page.run("document.querySelectorAll('#objects-table tbody button')[4].focus()")
    name = page.run("return document.activeElement.textContent")
    filled.put("largest", size=1 << 20)
    filled.delete(next(key for volume, key in filled.objects if volume == "default"))
    page.wait(lambda: page.objects()[0]["Name or id"] == "largest")
    assert page.run("return document.activeElement.textContent") == name
    page.press(ENTER)
    page.wait(lambda: page.panel_lists().get("Names") == [name])
    page.press(ESCAPE)
    assert page.run("return document.activeElement.textContent") == name


def test_a_phone_is_not_scrolled_sideways(page, filled, fake):
    page.device(360, 740)
    page.open_live(fake.url)

    def width():
        return page.run("return document.scrollingElement.scrollWidth")

    assert width() == 360
    assert page.run("return document.getElementById('map').clientWidth") > 320
    page.choose("view", "table")
    page.wait(lambda: len(page.objects()) == 9)
    assert width() == 360
    page.run("document.querySelector('#objects-table tbody button').click()")
    page.wait(lambda: "Names" in page.panel_lists())
    assert width() == 360
    assert page.run("return document.querySelector('main').inert"), "what is covered can be reached"
    box = page.element("panel").rect
    assert (box["x"], box["width"]) == (0, 360)
    page.element("panel-close").click()
    assert not page.element("panel").is_displayed()


# The contrast of each element's own text with what lies behind it, where that is too low.
PALE = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const pale = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.disabled) continue;
  const [a, b] = [light(rgb(getComputedStyle(element).color).slice(0, 3)), light(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) pale.push([element.textContent, contrast]);
}
return pale;
"""


@pytest.mark.parametrize("scheme, dark", [("light", False), ("dark", True)])
def test_text_can_be_read_in_light_and_dark(page, filled, fake, scheme, dark):
    page.media(prefers_color_scheme=scheme)
    page.open_live(fake.url)
    page.run("document.querySelector('#clients-table tbody button').click()")
    page.wait(lambda: page.panel_facts())
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (int(ground[4:].split(",")[0]) < 60) == dark
    assert page.run(PALE) == []


def test_labels_of_cells_and_lines_of_charts_stand_out_in_both_schemes(page, fake):
    names = ["on-cell", *(f"c{i}" for i in range(1, 7)), *(f"a{i}" for i in range(1, 5))]
    names += ["ground", "l1", "l2", "l3"]
    for scheme in ("light", "dark"):
        page.media(prefers_color_scheme=scheme)
        page.open_live(fake.url)
        colour = page.run(
            """const style = getComputedStyle(document.documentElement);
               return Object.fromEntries(arguments[0].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));""",
            names,
        )
        # Text lies on a plate of its cell's own colour.
        pairs = [("on-cell", name, 4.5) for name in names if name[0] in "ca"]
        pairs += [("ground", name, 3) for name in names if name[0] == "l"]
        pale = [pair for pair in pairs if contrast(colour[pair[0]], colour[pair[1]]) < pair[2]]
        assert pale == [], scheme


def contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_nothing_moves_by_itself(page, filled, fake):
    page.media(prefers_reduced_motion="reduce")
    page.open_live(fake.url)
    moving = """return [...document.querySelectorAll("*")].filter((element) => {
        const style = getComputedStyle(element);
        return style.animationName !== "none" || !/^(0s(, )?)+$/.test(style.transitionDuration);
    }).length"""
    assert page.run(moving) == 0


NAMED = {"button", "link", "textbox", "searchbox", "radio", "application", "table", "region", "image", "img",
         "dialog", "complementary", "columnheader", "rowheader", "heading", "form", "search", "navigation",
         "DisclosureTriangle"}  # fmt: skip


@pytest.mark.parametrize("view", ["map", "table"])
def test_a_screen_reader_is_told_what_everything_is(page, filled, fake, view):
    page.open_live(fake.url)
    page.choose("view", view)
    if view == "table":
        page.wait(lambda: len(page.objects()) == 9)
    page.run("document.querySelector('#clients-table tbody button').click()")
    page.wait(lambda: page.panel_facts())
    page.driver.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"]
    ]
    assert [role for role, name in told if role in NAMED and not name] == []
    roles = {role for role, _ in told}
    assert {"button", "searchbox", "radio", "table", "complementary", "region", "heading"} <= roles
    assert ("application" in roles) == (view == "map")
    assert ("complementary", "client train-a-long-program-name 9") in told
    assert page.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
