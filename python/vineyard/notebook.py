# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What clients and objects look like in a notebook, as HTML.

Whatever comes from the store is text: markup and control characters in it are shown, not obeyed.
Nothing is told by colour alone. A display asks the instance for two seconds at most, and where it has no
answer the notebook shows the plain text instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from time import time
from typing import TYPE_CHECKING, Any

from vineyard.errors import VineyardException
from vineyard.progress import size_text

if TYPE_CHECKING:
    from vineyard.client import Client
    from vineyard.figures import Why
    from vineyard.objects import ObjectMeta

#: Seconds that the questions of a display may take together.
PATIENCE = 2.0
#: Rows of a table; and objects of a volume that are listed to find the largest of them.
MOST_ROWS, MOST_LISTED = 20, 20_000
#: Characters of a text.
MOST_SHOWN = 100

#: What a volume's memory is used for: the field of `MemoryFigures`, words, and a colour that can be told
#: from its neighbours on white and on black.
_STATES = (
    ("sealed", "objects", "#4c78a8"),
    ("records", "small objects", "#72b7b2"),
    ("writing", "being written", "#eeca3b"),
    ("idle", "kept by clients for later", "#b279a2"),
    ("lingering", "deleted, still mapped", "#e45756"),
    ("moving", "moving", "#f58518"),
    ("slack", "room for small objects", "#9d9da1"),
    ("catalog", "catalog", "#54a24b"),
)
#: Keys of an object's metadata that its display tells otherwise, or that say the same of all objects.
_TOLD = ("id", "typename", "nbytes", "signature", "instance_id", "transient")
_CELL = "padding:2px 10px 2px 0;text-align:left"
_NUMBER = "padding:2px 10px 2px 0;text-align:right;white-space:nowrap"


def visible(text: str) -> str:
    """The text with everything escaped that a terminal or a browser would obey or hide.

    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def client_html(client: Client) -> str | None:
    """A bar of the volume's memory, and its largest objects."""
    from vineyard.calls.deadlines import Deadline

    deadline = Deadline(PATIENCE, client._core)
    try:
        volume = client.figures(timeout=deadline.left()).volumes[0]
        listed = None
        if volume.objects <= MOST_LISTED:
            listed = client._core.survey(deadline.left())
    except VineyardException:
        return None
    head = f"<b>vineyard</b>, volume {_text(volume.name)} at {_text(client.ipc_socket)}"
    if listed is None:
        table = f"<p>{volume.objects:,} objects; <code>client.memory()</code> lists them.</p>"
    else:
        listed.sort(key=lambda row: (-row[1], int(row[0].id)))
        table = _table(
            ("name", "type", "size", "age", "made by", "id"),
            (
                (
                    _names(names),
                    _text(info.typename),
                    _size(nbytes),
                    _age(info.created_unix_ns),
                    _creator(info),
                    _text(repr(info.id)),
                )
                for info, nbytes, names in listed[:MOST_ROWS]
            ),
        )
        if len(listed) > MOST_ROWS:
            table += f"<p>of {len(listed):,}; <code>client.memory()</code> lists them all.</p>"
        elif not listed:
            table = "<p>Nothing is stored.</p>"
    return f"<div>{head}{_bar(volume)}{table}</div>"


def meta_html(meta: ObjectMeta) -> str:
    """What an object is, and what it is made of. Asks the instance nothing."""
    rows = [("type", _text(meta.typename)), ("size", _size(meta.nbytes))]
    if meta.timestamp:
        rows += [("id", _text(repr(meta.id))), ("age", _age(meta.timestamp * 10**6))]
    rows += [(f"label {_text(key)}", _text(value)) for key, value in meta.labels.items()]
    keys = [key for key in meta if key not in _TOLD]
    for key in keys[:MOST_ROWS]:
        if key in meta._blobs:  # which asking for would map
            value: Any = "a blob"
        else:
            member = meta.member_ref(key)
            value = meta[key] if member is None else member
        rows.append((_text(key), _text(value if isinstance(value, str) else repr(value))))
    more = len(keys) - MOST_ROWS
    return (
        f"<div>{_table((), rows, head=True)}{f'<p>and {more:,} more</p>' if more > 0 else ''}</div>"
    )


def why_html(why: Why) -> str:
    """Reasons, and what would free the memory."""
    where = f"{_size(why.memory_bytes)} in memory"
    if why.spilled_bytes:
        where += f", {_size(why.spilled_bytes)} on the disk"
    reasons = "".join(f"<li>{_text(reason, None)}</li>" for reason in why.reasons)
    advice = "".join(f"<li>{_text(advice, None)}</li>" for advice in why.advice)
    return (
        f"<div><b>{_text(repr(why.id))}</b> {_text(why.typename)}: {where}<ul>{reasons}</ul>"
        f"What would free its memory:<ul>{advice}</ul></div>"
    )


# ---- parts


def _text(text: str, most: int | None = MOST_SHOWN) -> str:
    shown = visible(text if most is None else text[: most + 1])
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "…"
    return escape(shown)


def _size(nbytes: int) -> str:
    return f'<span title="{nbytes:,} bytes">{size_text(nbytes)}</span>'


def _age(created_unix_ns: int) -> str:
    if created_unix_ns == 0:
        return "–"
    seconds = max(time() - created_unix_ns / 1e9, 0.0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _creator(info: Any) -> str:
    if info.created_unix_ns == 0:
        return "–"
    where = f", {info.creator_pod}" if info.creator_pod else ""
    return _text(f"{info.creator_program or 'process'} ({info.creator_pid}{where})")


def _names(names: list[str]) -> str:
    if not names:
        return "–"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return _text(min(names)) + more


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]], head: bool = False) -> str:
    """Of HTML; with `head` the first cell of a row is its title."""
    titles = tuple(titles)
    first = "th" if head else "td"
    lines = []
    if titles:
        lines.append("".join(f'<th style="{_CELL}">{title}</th>' for title in titles))
    for row in rows:
        cells = [
            f'<{first if n == 0 else "td"} style="{_NUMBER if cell.startswith("<span") else _CELL}">'
            f"{cell}</{first if n == 0 else 'td'}>"
            for n, cell in enumerate(row)
        ]
        lines.append("".join(cells))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _bar(volume: Any) -> str:
    """How much of what the volume may have is used, and for what; and the same in words."""
    limit = max(volume.limit, volume.held, 1)
    used = [
        (words, colour, nbytes)
        for field, words, colour in _STATES
        if (nbytes := getattr(volume.memory, field)) > 0
    ]
    said = f"{size_text(volume.held)} of {size_text(volume.limit)} used"
    if volume.spilled:
        said += f", {size_text(volume.spilled)} more on the disk"
    pieces = "".join(
        f'<span style="width:{100 * nbytes / limit:.3f}%;background:{colour}" '
        f'title="{words}: {size_text(nbytes)}"></span>'
        for words, colour, nbytes in used
    )
    legend = ", ".join(
        f'<span style="border-left:0.8em solid {colour};padding-left:4px">'
        f"{words} {size_text(nbytes)}</span>"
        for words, colour, nbytes in used
    )
    return (
        f'<div role="img" aria-label="{said}" style="display:flex;height:1em;max-width:40em;'
        f'margin:6px 0;border:1px solid #888">{pieces}</div><div>{said}</div><div>{legend}</div>'
    )
