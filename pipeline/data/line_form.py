"""JSON lines that are written alike, of which texts are cut out without parsing each line."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from strop.pipeline.arrays import Ints

_QUOTE, _LINE_END, _ESCAPE = b'"\n\\'
_FIRST_PRINTED = 32
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Form:
    """How a line without escapes is written: all of it but the texts that are values."""

    quotes: int
    """Quotation marks of the line."""
    opened: tuple[int, ...]
    """Which of them open a value, in order; the next one closes it."""
    between: tuple[bytes, ...]
    """What stands before, between and after the values, with their quotation marks."""
    places: dict[str, int]
    """Which value stands under a name of the object itself."""


@dataclass(frozen=True)
class Cut:
    """The texts of those lines of a block that have one form, a row a line."""

    texts: pa.Table
    """Null where the form has no such name."""
    rows: Ints
    """The numbers of these lines."""
    others: Ints
    """The numbers of the other lines."""
    ends: Ints
    """Where every line of the block ends: before its line end, or at the end of the block."""


def form_of(line: bytes, names: tuple[str, ...]) -> Form | None:
    """The form of a line without escapes.

    None where it is no JSON object, or has under one of the names anything but one text.
    """
    try:
        if not isinstance(orjson.loads(line), dict):
            return None
    except orjson.JSONDecodeError:
        return None
    first, *parts = line.split(b'"')
    opened: list[int] = []
    between, places = [first], dict[str, int]()
    depth, name = _deeper(first), ""
    for mark, (quoted, after) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        if after.lstrip().startswith(b":"):
            between[-1] += b'"%b"%b' % (quoted, after)
            name = quoted.decode() if depth == 1 else ""
            if name in names and (name in places or after.strip() != b":"):
                return None
        else:
            if name in names:
                places[name] = len(opened)
            name = ""
            between[-1] += b'"'
            between.append(b'"' + after)
            opened.append(2 * mark)
        depth += _deeper(after)
    return Form(len(parts), tuple(opened), tuple(between), places) if opened else None


def _deeper(unquoted: bytes) -> int:
    """How many more objects and lists are open after it than before."""
    return sum(map(unquoted.count, (b"{", b"["))) - sum(map(unquoted.count, (b"}", b"]")))


def cut_texts(block: bytes, names: tuple[str, ...]) -> Cut | None:
    """The texts under some names of the lines that are written as the first one without escapes.

    The block is UTF-8. None where there are no such lines, or control characters beside line ends.
    """
    read = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(read == _LINE_END)
    if np.count_nonzero(read < _FIRST_PRINTED) != len(ends):
        return None
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.append(0, ends[:-1] + 1)
    plain = np.ones(len(ends), bool)
    if b"\\" in block:
        plain[np.searchsorted(ends, np.flatnonzero(read == _ESCAPE))] = False
    first = int(plain.argmax())
    form = form_of(block[starts[first] : ends[first]], names) if plain[first] else None
    if form is None:
        return None
    marks = np.flatnonzero(read == _QUOTE)
    before = np.searchsorted(marks, starts)
    plain &= np.diff(before, append=len(marks)) == form.quotes
    rows = np.flatnonzero(plain)
    marks = marks[before[rows][:, None] + np.arange(form.quotes)]
    good = _have_form(read, form, starts[rows], marks, ends[rows])
    rows, marks = rows[good], marks[good]
    plain[:] = True
    plain[rows] = False
    columns = [_column(block, form, name, marks) for name in names]
    return Cut(pa.table(columns, names=list(names)), rows, np.flatnonzero(plain), ends)


def _have_form(read: Bytes, form: Form, starts: Ints, marks: Ints, ends: Ints) -> Any:
    """Which lines, with as many marks as the form, have it; one truth value each."""
    opened = np.array(form.opened)
    firsts = np.column_stack([starts, marks[:, opened + 1]])
    lasts = np.column_stack([marks[:, opened] + 1, ends])
    lengths = np.array(list(map(len, form.between)))
    good = (lasts - firsts == lengths).all(axis=1)
    for first, text in zip(firsts.T, form.between, strict=True):
        size = len(text)
        windows = np.ndarray((len(read) - size + 1,), f"V{size}", read.data, strides=(1,))
        found = windows[first[good]].view(np.uint8).reshape(-1, size)
        good[good] = (found == np.frombuffer(text, np.uint8)).all(axis=1)
    return good


def _column(block: bytes, form: Form, name: str, marks: Ints) -> pa.Array:
    """The texts under a name."""
    if name not in form.places:
        return pa.nulls(len(marks), pa.string())
    opened = form.opened[form.places[name]]
    offsets = np.empty(2 * len(marks), np.int32)
    offsets[::2], offsets[1::2] = marks[:, opened] + 1, marks[:, opened + 1]
    # The block as texts and what is between them; only the texts are taken, and so copied.
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block)]
    pieces = pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)
    return pieces.take(pa.array(np.arange(0, len(offsets), 2)))
