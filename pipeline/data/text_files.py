"""Lines of text files, plain or compressed, each with its place for messages."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from strop.pipeline.data.locations import Location
from strop.pipeline.data.validation import Defects

LONGEST_LINE = 64 << 20
"""Bytes of one line; a file without line ends must not fill the memory."""
BLOCK = 1 << 20
"""Bytes that are read at once."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
UNKNOWN_COMPRESSION = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "Parquet",
    b"\x80\x04": "a pickle",
}
DAMAGE = (EOFError, zlib.error, OSError, pa.ArrowException)
"""What decompression raises; an `OSError` with a number is a disk's or a network's instead."""


@dataclass
class Place:
    """Where a reader is: moved along with every line, and written into messages."""

    file: str
    unit: str = "line"
    number: int = 0

    def __str__(self) -> str:
        """The file and the line."""
        return f"{self.file} {self.unit} {self.number}" if self.number else self.file


@contextmanager
def open_text(where: Location) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed where its first bytes say gzip or zstd, without a BOM."""
    with where.open() as raw:
        start = raw.read(8)
        raw.seek(0)
        file: Any = raw
        if start.startswith(GZIP):
            file = gzip.GzipFile(fileobj=raw)
        elif start.startswith(ZSTD):
            file = io.BufferedReader(pa.CompressedInputStream(raw, "zstd"))
        elif not hasattr(raw, "read1"):  # as with some of fsspec's files
            file = io.BufferedReader(file)
        yield file


def raw_blocks(where: Location, defects: Defects) -> Iterator[tuple[Place, bytes]]:
    """Whole lines of a file with their line ends, about a `BLOCK` at once.

    The place stands before them, and who takes them moves it along. What cannot be read (another
    encoding, a compressed file that ends early, a line without end) is an error after which the
    file is left.
    """
    place = Place(str(where))
    with open_text(where) as file:
        try:
            for block in _blocks(file, where, defects):
                if (block.find(b"\n", 0, LONGEST_LINE) + 1 or len(block)) > LONGEST_LINE:
                    place.number += 1
                    defects.add(
                        "long line", f"{place}: more than {LONGEST_LINE >> 20} MiB without a line "
                        "end, expected one record a line"
                    )  # fmt: skip
                    return
                yield place, block
        except DAMAGE as error:
            if getattr(error, "errno", None) is not None:
                raise
            place.number += 1
            reason = str(error).partition("\n")[0]
            defects.add(
                "damaged file", f"{place}: the compressed file is damaged here ({reason}), "
                "expected a whole one; fetch it again"
            )  # fmt: skip


def _blocks(file: BinaryIO, where: Location, defects: Defects) -> Iterator[bytes]:
    """Whole lines; of one that is too long, as much as shows that it is."""
    parts: list[bytes] = []
    chunks = _chunks(file)
    start = next(chunks, b"")
    if found := _not_text(start):
        defects.add("not text", f"{where}: {found}, expected UTF-8 text, gzip or zstd")
        return
    for chunk in chain([start.removeprefix(BYTE_ORDER_MARK)], chunks):
        end = chunk.rfind(b"\n") + 1
        if end or sum(map(len, parts)) > LONGEST_LINE:
            yield b"".join((*parts, memoryview(chunk)[:end]))
            parts = []
        parts.append(chunk[end:])
    if rest := b"".join(parts):
        yield rest


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The file in blocks; what comes before damage is given before the damage is told."""
    read: Callable[[int], bytes] = file.read1  # type: ignore[attr-defined]  # `read` drops it
    parts: list[bytes] = []
    try:
        while part := read(BLOCK):
            parts.append(part)
            if sum(map(len, parts)) >= BLOCK:
                yield b"".join(parts)
                parts = []
    except DAMAGE:
        yield b"".join(parts)
        raise
    yield b"".join(parts)


def raw_lines(where: Location, defects: Defects) -> Iterator[tuple[Place, bytes]]:
    """The lines of a file with their line ends, as `raw_blocks`."""
    for place, block in raw_blocks(where, defects):
        for line in io.BytesIO(block).readlines():
            place.number += 1
            yield place, line


def text_lines(where: Location, defects: Defects) -> Iterator[tuple[Place, bytes]]:
    """The lines of a file that have more than white space, without line ends."""
    for place, line in raw_lines(where, defects):
        if not line.isspace():
            yield place, line.rstrip(b"\r\n")


def _not_text(start: bytes) -> str | None:
    """What a file is whose first line cannot be text; None where it can."""
    for mark, name in (OTHER_ENCODINGS | UNKNOWN_COMPRESSION).items():
        if start.startswith(mark):
            return name
    return "zero bytes" if start[:16].startswith(b"\0\0") or b"{\0" in start[:8] else None


def json_lines(where: Location, defects: Defects) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The JSON objects of a file, one a line; other lines are errors."""
    for place, block in raw_blocks(where, defects):
        for record in json_records(block, place, defects):
            yield place, record


def json_records(block: bytes, place: Place, defects: Defects) -> Iterator[dict[str, Any]]:
    """The JSON objects of some whole lines; the place, which stands before them, moves along."""
    lines = io.BytesIO(block).readlines()
    records = _objects(lines)
    for row, line in enumerate(lines):
        place.number += 1
        record = records[row] if records else _object(line, place, defects)
        if record is not None:
            yield record


def _objects(lines: list[bytes]) -> list[dict[str, Any]] | None:
    """The objects of lines that have one each; None where any has none."""
    try:
        records = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    return records if set(map(type, records)) == {dict} else None


def _object(line: bytes, place: Place, defects: Defects) -> dict[str, Any] | None:
    """The object of one line; None where it is blank, or an error."""
    if line.isspace():
        return None
    try:
        record = json.loads(line.decode("utf-8"))  # the fast parser is stricter
    except (ValueError, RecursionError) as error:
        defects.add("bad JSON", f"{place}: not JSON ({error}), expected a JSON object")
        return None
    if isinstance(record, dict):
        return record
    defects.add("bad JSON", f"{place}: {type(record).__name__}, expected a JSON object")
    return None


def utf8_lines(where: Location, defects: Defects) -> Iterator[tuple[Place, str]]:
    """The lines of a file as text, as `text_lines`; one that is no UTF-8 is an error."""
    for place, line in text_lines(where, defects):
        if (text := decoded(line, place, defects)) is not None:
            yield place, text


def decoded(line: bytes, place: Place, defects: Defects) -> str | None:
    """A line as text; None, and an error, where it is no UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        defects.add("not UTF-8", f"{place}: {line[:80]!r}, expected UTF-8 text ({error.reason})")
        return None
