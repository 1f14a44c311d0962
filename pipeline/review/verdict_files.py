"""Verdicts as CSV or JSON lines, for annotation tools: written with texts, read back strictly."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.pipeline.data.text_files import LONGEST_LINE
from strop.pipeline.errors import InputError
from strop.pipeline.mining.verdicts import WORDS

NEEDED = ("query_id", "passage_id", "verdict")
SUFFIXES = (".csv", ".jsonl")
EXPECTED = ", ".join(WORDS)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula, which it would carry out."""
QUOTE = "'"


@dataclass(frozen=True)
class Given:
    """One verdict of a file, and the line on which it stands."""

    line: int
    query_id: str
    passage_id: str
    verdict: str


def check_suffix(path: Path) -> str:
    """The file's suffix; raises `InputError` for a format that is neither CSV nor JSON lines."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: ends in {path.suffix!r}, expected {' or '.join(SUFFIXES)}")
    return path.suffix.lower()


def written(rows: Sequence[dict[str, Any]], columns: Sequence[str], suffix: str) -> bytes:
    """Rows as the bytes of a file; a value that is None is empty in CSV and null in JSON.

    In CSV a text that a spreadsheet would carry out as a formula begins with an apostrophe, which
    `read_verdicts` takes off ids again.
    """
    out = io.StringIO()
    if suffix == ".csv":
        # Not every Python quotes a carriage return that is no part of its line ends.
        writer = csv.DictWriter(out, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    else:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return out.getvalue().encode()


def _inert(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula; one that looks quoted is quoted too."""
    quoted = isinstance(value, str) and value.lstrip(QUOTE).startswith(FORMULA)
    return QUOTE + value if quoted else value


def _plain(text: str) -> str:
    """The text that `_inert` was given."""
    quoted = text.startswith(QUOTE) and text.lstrip(QUOTE).startswith(FORMULA)
    return text[1:] if quoted else text


def read_verdicts(path: Path) -> list[Given]:
    """The verdicts of a file; rows whose verdict is empty or null have none yet and are left out.

    Other columns are not read. Raises `InputError` naming the file and line of the first fault.
    """
    suffix = check_suffix(path)
    records = _csv_records(path) if suffix == ".csv" else _json_records(path)
    found: dict[tuple[str, str], Given] = {}
    for line, values in records:
        given = _given(path, line, values)
        if given is None:
            continue
        before = found.setdefault((given.query_id, given.passage_id), given)
        if before.verdict != given.verdict:
            raise InputError(
                f"{path} line {line}: verdict {given.verdict!r} of query {given.query_id!r} and "
                f"passage {given.passage_id!r}, which line {before.line} calls "
                f"{before.verdict!r}; expected one verdict a pair"
            )
    return list(found.values())


def _given(path: Path, line: int, values: dict[str, Any]) -> Given | None:
    for name in ("query_id", "passage_id"):
        if not isinstance(values[name], str) or not values[name]:
            raise InputError(f"{path} line {line}: {name} is {values[name]!r}, expected an id")
    verdict = values["verdict"]
    word = verdict.strip() if isinstance(verdict, str) else verdict
    if word in ("", None):
        return None
    if word not in WORDS:
        raise InputError(
            f"{path} line {line}: verdict {verdict!r} is unknown, expected {EXPECTED}, or nothing "
            "where there is none yet"
        )
    return Given(line, values["query_id"], values["passage_id"], word)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        raise InputError(f"{path} line {line}: byte 0x{byte:02x}, expected UTF-8 text") from error


def _csv_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record by column name, with the line on which it begins."""
    csv.field_size_limit(LONGEST_LINE)  # a passage may be longer than Python's own limit
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    columns: list[str] | None = None
    begins = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise InputError(f"{path} line {begins}: not CSV ({error})") from error
        line, begins = begins, reader.line_num + 1
        if columns is None:
            columns = _header(path, fields)
        elif fields and len(fields) != len(columns):
            raise InputError(
                f"{path} line {line}: {len(fields)} fields, expected {len(columns)}, as the header "
                "has"
            )
        elif fields:
            yield line, dict(zip(columns, map(_plain, fields), strict=True))
    if columns is None:
        raise InputError(f"{path} line 1: nothing, expected a header with {', '.join(NEEDED)}")


def _header(path: Path, fields: list[str]) -> list[str]:
    columns = [field.strip() for field in fields]
    for name in NEEDED:
        if columns.count(name) != 1:
            found = ", ".join(columns)[:200]
            times = "no" if name not in columns else f"{columns.count(name)} times the"
            raise InputError(
                f"{path} line 1: {times} column {name} among {found!r}, expected a header with "
                f"{', '.join(NEEDED)}, separated by commas"
            )
    return columns


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path} line {line}: {text.strip()[:60]!r} is not JSON, expected one object a line"
            ) from error
        if not isinstance(values, dict):
            raise InputError(f"{path} line {line}: {text.strip()[:60]!r}, expected a JSON object")
        for name in NEEDED:
            if name not in values:
                keys = ", ".join(map(str, values))[:200]
                raise InputError(
                    f"{path} line {line}: no key {name!r} among {keys!r}, expected "
                    f"{', '.join(NEEDED)}"
                )
        yield line, values
