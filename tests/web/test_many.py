# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A full store: a hundred thousand objects."""

import random
import re

COUNT = 100_000


def fill(store):
    chance = random.Random(20)
    store.limit = 1 << 40
    store.add_volume("features")
    types = ["vineyard::Tensor", "vineyard::Table", "vineyard::DataFrame", "vineyard::RecordBatch"]
    for index in range(COUNT):
        store.put(
            f"object {index}" if index % 3 else None,
            type=chance.choice(types),
            size=int(2 ** chance.uniform(4, 28)),
            volume=chance.choice(["default", "features"]),
            age=chance.choice([5, 600, 9000, 200_000]),
            state=chance.choice(["memory", "memory", "disk", "mixed"]),
        )


def objects_in(said):
    """How many objects a cell stands for."""
    if said.startswith(("volume ", "type ")):
        return 0
    together = re.match(r"([\d,]+) small objects", said)
    return int(together[1].replace(",", "")) if together else 1


def test_a_hundred_thousand_objects_are_drawn_and_none_is_left_out(page, store, fake, report):
    fill(store)
    page.open_live(fake.url)
    page.wait(lambda: page.text("sum").startswith("100,000 objects"))
    tasks = page.run("return window.longTasks")
    report.append(f"100,000 objects, until they are drawn: tasks over 50 ms: {tasks}")
    cells = page.walk()
    assert sum(objects_in(said) for said in cells) == COUNT
    assert len(cells) < 3100
    colours = page.run(
        """
        const canvas = document.querySelector("#map canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
        """
    )
    assert colours > 10
    page.choose("view", "table")
    page.wait_for(lambda: page.text("place"), f"1–50 of {COUNT:,}")
    page.run("window.longTasks.length = 0")
    page.choose("view", "map")
    for round in range(3):
        store.put(f"late {round}", size=1 << 33)
        page.wait(lambda count=COUNT + round + 1: page.text("sum").startswith(f"{count:,} objects"))
    page.search("late")
    page.wait(lambda: page.text("sum").startswith("3 of 100,003 objects"))
    tasks = page.run("return window.longTasks")
    report.append(f"100,000 objects, three new lists and a search: tasks over 50 ms: {tasks}")
