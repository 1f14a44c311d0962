"""How artifacts read on a terminal: sizes, ages, values, and columns that never wrap."""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from os.path import commonprefix
from typing import Any

BEFORE_CHANGE = 4
"""Characters that two texts have in common which are told before they differ."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def size_text(count: float) -> str:
    """Bytes, in the unit that keeps the number short."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def parse_age(text: str, *, option: str) -> timedelta:
    """An age such as ``90s``, ``2h`` or ``7d``; raises `ValueError` naming the option."""
    match = AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{option} {text!r}: expected a number and one of s, m, h, d, w: 36h")
    try:
        return timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        return timedelta.max


def age_text(created: str, now: datetime | None = None) -> str:
    """How long ago a manifest's time was, in its largest unit."""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(created)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


WORDS = {None: "null", True: "true", False: "false"}
"""Values that Python has names of its own for."""


def value_text(value: Any) -> str:
    """A value of a summary, a parameter or a cell, in four digits and one line."""
    if value is None or isinstance(value, bool):
        return WORDS[value]
    if isinstance(value, float):
        return f"{value + 0.0:.4g}"  # of two zeros the one without a sign
    if isinstance(value, dict):
        pairs = (f"{key} {_inner_text(item)}" for key, item in value.items())
        return ", ".join(pairs) or "{}"
    if isinstance(value, tuple):  # an entry of a map
        return " ".join(map(value_text, value))
    if isinstance(value, list):
        return f"[{', '.join(map(_inner_text, value))}]"
    return " ".join(str(value).split())


def _inner_text(value: Any) -> str:
    """A value within another one, from which it is told apart."""
    text = value_text(value) or "''"
    return f"{{{text}}}" if isinstance(value, dict) and value else text


def cell_text(value: Any, width: int = 60) -> str:
    """A value cut to a cell's width."""
    text = value_text(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def change_text(before: Any, after: Any, width: int) -> str:
    """Two values; of long texts the cells begin shortly before the first difference."""
    texts = [value_text(before), value_text(after)]
    start = len(commonprefix(texts)) - BEFORE_CHANGE  # noqa: RUF071 — characters are meant
    if start > 0 and max(map(len, texts)) > width:
        texts = [f"…{text[start:]}" for text in texts]
    return " → ".join(cell_text(text, width) for text in texts)


def columns(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Aligned lines, cut at the width of a terminal and whole in a pipe.

    Written by hand since rich takes seconds to lay out ten thousand rows.
    """
    table = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in table:
        cells = [
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()[:limit]


def tree_branches(depths: Sequence[int]) -> list[str]:
    """What stands before each line of a tree, from the depth of each, 1 or more, depth first."""
    branches, below = [], set[int]()
    for depth in reversed(depths):
        stems = "".join("│   " if level in below else "    " for level in range(1, depth))
        branches.append(f"{stems}{'├' if depth in below else '└'}── ")
        below = {level for level in below if level < depth} | {depth}
    return branches[::-1]
