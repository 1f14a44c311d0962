"""Lines of text files, plain or compressed, each with its place for messages."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
            file = io.BufferedReader(gzip.GzipFile(fileobj=raw))
        elif start.startswith(ZSTD):
            file = io.BufferedReader(pa.CompressedInputStream(raw, "zstd"))
        elif not hasattr(raw, "read1"):  # as with some of fsspec's files
            file = io.BufferedReader(file)
        yield file


def raw_blocks(where: Location, defects: Defects) -> Iterator[tuple[Place, list[bytes]]]:
    """The lines of a file with their line ends, some at once.

    The place stands before them, and who takes them moves it along. What cannot be read (another
    encoding, a compressed file that ends early, a line without end) is an error after which the
    file is left.
    """
    place = Place(str(where))
    with open_text(where) as file:
        try:
            for lines in _blocks(file, where, defects):
                if len(lines[0]) > LONGEST_LINE:
                    place.number += 1
                    defects.add(
                        "long line", f"{place}: more than {LONGEST_LINE >> 20} MiB without a line "
                        "end, expected one record a line"
                    )  # fmt: skip
                    return
                yield place, lines
        except DAMAGE as error:
            if getattr(error, "errno", None) is not None:
                raise
            place.number += 1
            reason = str(error).partition("\n")[0]
            defects.add(
                "damaged file", f"{place}: the compressed file is damaged here ({reason}), "
                "expected a whole one; fetch it again"
            )  # fmt: skip


def _blocks(file: BinaryIO, where: Location, defects: Defects) -> Iterator[list[bytes]]:
    """Whole lines; of one that is too long, as much as shows that it is."""
    parts: list[bytes] = []
    read: Callable[[int], bytes] = file.read1  # type: ignore[attr-defined]  # what came before damage is given
    chunk = read(BLOCK)
    if found := _not_text(chunk):
        defects.add("not text", f"{where}: {found}, expected UTF-8 text, gzip or zstd")
        return
    chunk = chunk.removeprefix(BYTE_ORDER_MARK)
    while chunk:
        end = chunk.rfind(b"\n") + 1
        if end or sum(map(len, parts)) > LONGEST_LINE:
            yield io.BytesIO(b"".join((*parts, chunk[:end]))).readlines()
            parts = []
        parts.append(chunk[end:])
        chunk = read(BLOCK)
    if rest := b"".join(parts):
        yield [rest]


def raw_lines(where: Location, defects: Defects) -> Iterator[tuple[Place, bytes]]:
    """The lines of a file with their line ends, as `raw_blocks`."""
    for place, lines in raw_blocks(where, defects):
        for line in lines:
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
    for place, records in json_blocks(where, defects):
        for record in records:
            yield place, record
            place.number += 1


def json_blocks(where: Location, defects: Defects) -> Iterator[tuple[Place, list[dict[str, Any]]]]:
    """The same in runs that follow each other line by line; the place stands at the first."""
    for place, lines in raw_blocks(where, defects):
        before = place.number
        if records := _objects(lines):
            place.number = before + 1
            yield place, records
        else:
            for place.number, line in enumerate(lines, before + 1):
                if (record := _object(line, place, defects)) is not None:
                    yield place, [record]
        place.number = before + len(lines)


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
