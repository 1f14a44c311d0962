"""Texts of JSON lines by column, without an object for each."""

import numpy as np
import pyarrow as pa
import pyarrow.json

from strop.pipeline.data.line_form import Cut, cut_texts

_LINE_END, _OPENED, _CLOSED = b"\n{}"


def text_columns(block: bytes, names: tuple[str, ...]) -> pa.Table | None:
    """The texts under some names of whole lines, a row a line; null where a name is absent.

    None where the lines need a closer look: one has no object, or more than one, a value under
    one of the names is no text, or something is no JSON or no UTF-8.
    """
    if not _is_utf8(block):
        return None
    cut = cut_texts(block, names)
    if cut is None or len(cut.rows) < len(cut.others):
        return _parsed(block, names)
    return _with_others(block, cut, names) if len(cut.others) else cut.texts


def _with_others(block: bytes, cut: Cut, names: tuple[str, ...]) -> pa.Table | None:
    """What was cut, and the other lines, which are parsed."""
    starts = np.append(0, cut.ends[:-1] + 1)[cut.others].tolist()
    ends = cut.ends[cut.others].tolist()
    lines = (block[start:end] for start, end in zip(starts, ends, strict=True))
    parsed = _parsed(b"\n".join(lines), names)
    if parsed is None:
        return None
    order = np.argsort(np.concatenate([cut.rows, cut.others]))
    return pa.concat_tables([cut.texts, parsed]).take(pa.array(order)).combine_chunks()


def _parsed(block: bytes, names: tuple[str, ...]) -> pa.Table | None:
    num_lines = _num_lines(block)
    if not num_lines:
        return None
    schema = pa.schema([(name, pa.string()) for name in names])
    reading = pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    parsing = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        found = pa.json.read_json(pa.BufferReader(block), reading, parsing)
    except pa.ArrowException:
        return None
    return found if found.num_rows == num_lines else None


def _num_lines(block: bytes) -> int:
    """The lines of a block, if each begins with a brace and ends with one; else 0.

    Between such lines no object goes on: after a closing brace it would need a comma first. So as
    many objects as lines are one a line.
    """
    if not block.startswith(b"{") or not block.removesuffix(b"\n").endswith(b"}"):
        return 0
    read = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(read[:-1] == _LINE_END)
    whole = (read[ends - 1] == _CLOSED).all() and (read[ends + 1] == _OPENED).all()
    return len(ends) + 1 if whole else 0


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    offsets = np.array([0, len(block)], np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block)]
    try:
        pa.Array.from_buffers(pa.string(), 1, buffers).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
