"""Rows of tables as records: JSONL, CSV and TSV, Parquet and Arrow files."""

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import plain_name
from strop.pipeline.data.text_files import LONGEST_LINE, Place, decoded, json_lines, raw_lines
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError

Rows = Iterator[tuple[Place, dict[str, Any]]]
Meaning = TypeVar("Meaning")
BATCH_ROWS = 1024
FIRST_ROWS = 1024
"""The rows whose columns are those of the file: JSON's records may leave some out."""
ARROW_FAULTS = (pa.ArrowException, OSError, ValueError)
NO_VALUE = (ArithmeticError, LookupError, ValueError)
"""What Python raises for a value that it cannot hold, such as a date after the year 9999."""


def is_table(name: str) -> bool:
    """Whether a file's ending is that of a table."""
    return _ending(name) in READERS


def read_rows(where: Location, defects: Defects) -> Rows:
    """The rows of a file by the names of its columns; what cannot be read is an error."""
    return READERS[_ending(where.name)](where, defects)


def null_where_empty(
    record: dict[str, Any], where: Location, optional: Collection[str]
) -> dict[str, Any]:
    """The record with null for empty cells of these columns: CSV and TSV have no other null."""
    if _ending(where.name) not in ("csv", "tsv"):
        return record
    empty = {name: None for name in optional if record.get(name) == ""}
    return record | empty if empty else record


def first_columns(where: Location) -> list[str]:
    """The columns of the first rows; what cannot be read is told by who reads it all."""
    return _names(islice(read_rows(where, Defects()), FIRST_ROWS))


def rows_with_meaning(
    where: Location, defects: Defects, meaning_of: Callable[[Sequence[str]], Meaning]
) -> Iterator[tuple[Place, dict[str, Any], Meaning]]:
    """The rows, each with what the columns of the first rows mean.

    A later row with a column that would have changed the meaning is an error: the rows before it
    were read without.
    """
    rows = read_rows(where, defects)
    first = [(replace(place), record) for place, record in islice(rows, FIRST_ROWS)]
    names = _names(iter(first))
    if not first:
        return
    known, meaning, rows = set(names), meaning_of(names), chain(first, rows)
    del first
    for place, record in rows:
        late = [name for name in record if name not in known]
        if late and not _means(meaning_of, [*names, *late], meaning):
            defects.add(
                "late column", f"{place}: {', '.join(map(repr, late))} in none of the first "
                f"{FIRST_ROWS:,} rows, expected in one of them, null where it has no value"
            )  # fmt: skip
        else:
            known.update(late)
        yield place, record, meaning


def _means(
    meaning_of: Callable[[Sequence[str]], Meaning], names: Sequence[str], meaning: Meaning
) -> bool:
    """Whether columns have this meaning; those that nobody can tell the meaning of have not."""
    try:
        return meaning_of(names) == meaning
    except InputError:
        return False


def _names(rows: Rows) -> list[str]:
    """The names of all columns in order of their first row."""
    return list(dict.fromkeys(name for _, record in rows for name in record))


def _ending(name: str) -> str:
    return plain_name(name.lower()).rpartition(".")[2]


def _csv_rows(where: Location, defects: Defects) -> Rows:
    return _separated(where, defects, ",")


def _tsv_rows(where: Location, defects: Defects) -> Rows:
    return _separated(where, defects, "\t")


def _separated(where: Location, defects: Defects, separator: str) -> Rows:
    """Rows under a header; a row that is longer or shorter than the header is an error."""
    place = Place(str(where))
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(_texts(where, defects, place), delimiter=separator, strict=True)
    header: list[str] = []
    try:
        for values in reader:
            if not header:
                header = values
                if len(set(header)) < len(header):
                    defects.add("bad header", f"{place}: {header}, expected distinct column names")
                    return
            elif len(values) == len(header):
                yield place, dict(zip(header, values, strict=True))
            elif values:
                defects.add(
                    "bad row", f"{place}: {len(values)} fields, expected {len(header)} as in the "
                    "header; quote texts with separators in them"
                )  # fmt: skip
    except csv.Error as error:
        defects.add("bad CSV", f"{place}: {error}, expected fields quoted as CSV does")


def _texts(where: Location, defects: Defects, place: Place) -> Iterator[str]:
    """The lines as text; moves the place along, as a field may reach over several lines."""
    for at, line in raw_lines(where, defects):
        place.number = at.number
        if (text := decoded(line, at, defects)) is not None:
            yield text


def _parquet_rows(where: Location, defects: Defects) -> Rows:
    place = Place(str(where), "row")
    with where.open() as file:
        try:
            batches = pq.ParquetFile(file).iter_batches(BATCH_ROWS)
            yield from _numbered(batches, place, defects)
        except ARROW_FAULTS as error:
            _damaged("Parquet", place, error, defects)


def _arrow_rows(where: Location, defects: Defects) -> Rows:
    """Rows of an Arrow file, in the stream form that `datasets` saves or the other."""
    place = Place(str(where), "row")
    with where.open() as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        try:
            if is_file:
                whole = pa.ipc.open_file(file)
                batches = (whole.get_batch(n) for n in range(whole.num_record_batches))
            else:
                batches = iter(pa.ipc.open_stream(file))
            yield from _numbered(batches, place, defects)
        except ARROW_FAULTS as error:
            _damaged("Arrow", place, error, defects)


def _numbered(batches: Iterator[pa.RecordBatch], place: Place, defects: Defects) -> Rows:
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            try:
                records = rows.to_pylist()
            except NO_VALUE:
                if not _add_unreadable(rows, place, defects):
                    raise
                return
            for record in records:
                place.number += 1
                yield place, record


def _add_unreadable(rows: pa.RecordBatch, place: Place, defects: Defects) -> bool:
    """An error for the first value of each column that Python cannot hold; whether there is one."""
    found = False
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        for number, value in enumerate(column, start=place.number + 1):
            try:
                value.as_py()
            except NO_VALUE as error:
                defects.add(
                    f"unreadable {name}", f"{replace(place, number=number)}: field {name!r}, of "
                    f"type {column.type}, cannot be read ({error}), expected texts, numbers, or "
                    "dates of the years 1 to 9999; cast or remove the column"
                )  # fmt: skip
                found = True
                break
    return found


def _damaged(kind: str, place: Place, error: Exception, defects: Defects) -> None:
    place.number += 1 if place.number else 0
    reason = str(error).partition("\n")[0]
    defects.add("damaged file", f"{place}: no readable {kind} ({reason}), expected a whole file")


READERS: dict[str, Callable[[Location, Defects], Rows]] = {
    "jsonl": json_lines,
    "ndjson": json_lines,
    "json": json_lines,
    "csv": _csv_rows,
    "tsv": _tsv_rows,
    "parquet": _parquet_rows,
    "arrow": _arrow_rows,
}
"""How rows are read, by a file's ending."""
