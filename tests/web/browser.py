# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A headless Chromium of the tests' own, and what the page in it shows."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
WATCHDOG = 60  # seconds after which what has not come will not come

FLAGS = (
    "--headless=new",
    "--window-size=1280,1000",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    # No name is looked up, and no other machine reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
)

# Long tasks of the page's thread are counted from the beginning, and what somebody's markup does is seen.
BEFORE_ANYTHING = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(Math.round(entry.duration));
}).observe({ type: "longtask", buffered: true });
window.alert = () => { window.pwned = true; };
"""


def programs() -> tuple[str, str] | None:
    """Chromium and its driver, of one version as the system's packages are."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    found = programs()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in FLAGS:
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which root can't have; the pages are our own
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BEFORE_ANYTHING})
        yield driver
    finally:
        driver.quit()


class Page:
    """The page as somebody sees it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.origin = ""

    def open(self, url: str) -> None:
        self.origin = url
        self.driver.get(f"{url}/")

    def open_live(self, url: str) -> None:
        self.open(url)
        self.wait(lambda: self.text("status") == "live" and self.text("sum"))

    def wait(self, condition: Callable[[], T]) -> T:
        """What the condition says, once that is true."""
        end = time.monotonic() + WATCHDOG
        while not (value := condition()):
            assert time.monotonic() < end, f"still {value!r}; the page says: {self.text('status')}"
            time.sleep(0.05)
        return value

    def wait_for(self, ask: Callable[[], Any], wanted: Any) -> None:
        """Until `ask` says what is wanted, whose difference is shown where it never does."""
        end = time.monotonic() + WATCHDOG
        while (value := ask()) != wanted and time.monotonic() < end:
            time.sleep(0.05)
        assert value == wanted

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def element(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        """All text of an element, whether it is within the window or not."""
        return self.run("return document.getElementById(arguments[0])?.textContent ?? ''", name)

    def choose(self, name: str, value: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, f"input[name={name}][value={value}]").click()

    def press(self, *keys: str) -> None:
        """To whatever has the focus."""
        for key in keys:
            ActionChains(self.driver, duration=0).send_keys(key).perform()

    def focused(self) -> str:
        return self.run("return document.activeElement.id")

    def search(self, words: str) -> None:
        field = self.element("search")
        field.clear()
        field.send_keys(words)

    def rows(self, table: str) -> list[dict[str, str]]:
        """A table's rows by the titles of their columns."""
        return self.run(
            """
            const table = document.getElementById(arguments[0]);
            const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
            return [...table.tBodies[0].rows].map((row) => Object.fromEntries(
                [...row.cells].map((cell, index) => [titles[index], cell.dataset.value ?? cell.textContent])));
            """,
            table,
        )

    def objects(self) -> list[dict[str, str]]:
        return self.rows("objects-table")

    def walk(self) -> list[str]:
        """What the treemap says of each of its cells, by going through them with the keyboard."""
        return self.run(
            """
            const [map, said] = [document.getElementById("map"), document.getElementById("map-cell")];
            const press = (key) => map.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
            press("Home");
            const all = [];
            while (said.textContent !== "" && all.at(-1) !== said.textContent) {
              all.push(said.textContent);
              press("PageDown");
            }
            return all;
            """
        )

    def panel_lists(self) -> dict[str, list[str]]:
        """The side panel's sections: what stands below each title."""
        return self.run(
            """
            return Object.fromEntries([...document.querySelectorAll("#panel-body section")].map((section) => {
              const items = [...section.querySelectorAll("li")].map((item) => item.textContent);
              const [title, ...rest] = [...section.childNodes].map((node) => node.textContent);
              return [title, items.length ? items : rest];
            }));
            """
        )

    def panel_facts(self) -> dict[str, str]:
        return self.run(
            """
            return Object.fromEntries([...document.querySelectorAll("#panel-body dt")].map(
                (term) => [term.textContent, term.nextSibling.textContent]));
            """
        )

    def device(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def media(self, **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": of} for name, of in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": listed})

    def reset(self) -> None:
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.media()
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)

    def complaints(self) -> list[str]:
        """What the browser found wrong since it was asked last, but that a server answered with an error or not at all."""
        entries = self.driver.get_log("browser")
        return [
            entry["message"]
            for entry in entries
            if entry["level"] == "SEVERE" and "Failed to load resource" not in entry["message"]
        ]

    def requested(self) -> list[str]:
        """The addresses that the page, or its worker, wanted anything from since it was asked last."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
