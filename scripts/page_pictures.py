#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Draws docs/images/page-*.png: the page in Chromium, before a made store that is always the same; and plays the
incident of docs/guides/operating.md, which shows what was printed, and the page as it was then.
"""

from __future__ import annotations

import base64
import io
import math
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests"), str(ROOT / "python")]

from browser import Page, chromium  # noqa: E402
from fake import FakeServer, Store  # noqa: E402
from photographer import Photographer  # noqa: E402
from PIL import Image  # noqa: E402  (matplotlib brings it)
from rehearsal import incident  # noqa: E402

NOW = 1_770_000_000_000  # of the made store's clock
MIB = 1 << 20

# type, how many, the middle of their sizes in MiB, names
CONTENTS = [
    ("default", "vineyard::Tensor<float>", 60, 24, "embedding/part-{}"),
    ("default", "vineyard::Table", 40, 18, "events/2026-01-{:02}"),
    ("default", "vineyard::Tensor<int64>", 300, 0.4, None),
    ("features", "vineyard::DataFrame", 25, 40, "clicks/{}"),
    ("features", "vineyard::RecordBatch", 700, 0.9, None),
    ("features", "vineyard::Tensor<double>", 12, 60, "model/layer-{}"),
]


def fill(store: Store) -> str:
    """A store that is nearly full, while somebody waits; returns the object to ask about."""
    chance = random.Random(3)
    store.now = NOW
    store.limit = 6 << 30
    store.ready = 96 * MIB
    store.deployment = "analytics"
    store.add_volume(
        "default",
        writing=310 * MIB,
        lingering=540 * MIB,
        idle=35 * MIB,
        records=9 * MIB,
        slack=3 * MIB,
        catalog=4 * MIB,
    )
    store.add_volume(
        "features",
        writing=64 * MIB,
        lingering=90 * MIB,
        idle=12 * MIB,
        records=22 * MIB,
        slack=6 * MIB,
        catalog=4 * MIB,
    )
    for volume, kind, count, middle, name in CONTENTS:
        for index in range(count):
            store.put(
                None if name is None else name.format(index + 1),
                type=kind,
                volume=volume,
                size=int(middle * MIB * math.exp(chance.gauss(0, 0.8))),
                age=chance.choice([20, 300, 2000, 9000, 200_000]),
                state=chance.choices(["memory", "disk", "mixed"], [6, 3, 1])[0],
            )
    asked = store.put(
        "model/latest",
        volume="features",
        type="vineyard::Tensor<double>",
        size=420 * MIB,
        age=5400,
        creator={"pid": 20311, "uid": 1000, "pod": None},
        reasons=[
            "the name 'model/latest' points to it",
            "serve.py (pid 20977) has 420.0MiB of it mapped",
        ],
        advice=["drop the name 'model/latest'", "let go of it in serve.py (pid 20977)"],
        held_by=[
            {
                "pid": 20977,
                "program": "serve.py",
                "pod": None,
                "client": 4,
                "mapped_bytes": 420 * MIB,
                "pinned": False,
            }
        ],
    )
    programs = [
        ("train.py", 20311, 812, 310, 0),
        ("serve.py", 20977, 1190, 0, 420),
        ("load.py", 21400, 96, 64, 0),
        ("notebook", 18002, 540, 0, 0),
    ]
    for number, (program, pid, maps, writes, pins) in enumerate(programs, 1):
        store.clients.append(
            {"client": number, "pid": pid, "program": program, "pod": None, "uid": 1000, "volume": "features" if number == 2 else "default",
             "connected": True, "read_only": False, "since": NOW - number * 3_000_000, "mapped_bytes": maps * MIB, "writing_bytes": writes * MIB,
             "pinned_bytes": pins * MIB, "idle_bytes": 12 * MIB * (number % 2), "waiting": int(number == 1), "requests": 40_317 // number}
        )  # fmt: skip
    store.waits = [
        {
            "kind": "memory",
            "volume": "default",
            "client": 1,
            "pid": 20311,
            "program": "train.py",
            "what": "Reserve",
            "bytes": 900 * MIB,
            "since_s": 7.2,
            "left_s": 52.8,
        }
    ]
    grown = [0.55 + 0.35 * index / 299 + 0.02 * math.sin(index / 9) for index in range(300)]
    store.history = {
        "used": [part * (5 << 30) for part in grown],
        "held": [part * (6 << 30) for part in grown],
        "spilled": [max(0.0, part - 0.8) * (9 << 30) for part in grown],
        "requests_per_s": [
            820 + 300 * math.sin(index / 20) + chance.gauss(0, 40) for index in range(300)
        ],
        "failed_per_s": [0] * 300,
        "waiting": [int(index > 290) for index in range(300)],
        "latency_p50_us": [14 + chance.gauss(0, 1) for _ in range(300)],
        "latency_p99_us": [
            140 + chance.gauss(0, 12) + 4 * max(0, index - 280) for index in range(300)
        ],
    }
    store.disk = {"bytes": 1900 * MIB, "loads": 4411, "evictions": 5203, "damaged": 0}
    return asked


def draw(page: Page, name: str) -> None:
    shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    path = ROOT / "docs/images" / f"{name}.png"
    image.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


def main() -> None:
    store = Store()
    asked = fill(store)
    server = FakeServer(store)
    try:
        with chromium() as driver:
            page = Page(driver)
            driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
            for name, scheme, width, height in (
                ("light", "light", 1180, 900),
                ("dark", "dark", 1180, 900),
                ("phone", "light", 360, 740),
            ):
                page.device(width, height)
                page.media(prefers_color_scheme=scheme)
                page.open_live(server.url)
                page.wait(lambda: len(page.walk()) > 100)
                if name != "phone":
                    page.search("model/latest")
                    page.wait(lambda: page.text("sum").startswith("1 of"))
                    page.element("map").click()
                    page.wait(
                        lambda: page.text("panel-title") == asked and "Names" in page.panel_lists()
                    )
                    page.search(" ")
                    page.wait(
                        lambda: " of " not in page.text("sum") and asked in page.text("map-cell")
                    )
                    page.run("document.activeElement.blur()")
                draw(page, f"page-{name}")
            page.device(1180, 900)
            page.media(prefers_color_scheme="light")
            played = incident.transcript(Photographer(page, lambda name: draw(page, name)))
            incident.write(ROOT / "docs/guides/operating.md", played)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
