"""Parquet tables with a declared schema, written and read in batches."""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from strop.artifacts.errors import Damaged

ROW_GROUP_ROWS = 1 << 16
BATCH_ROWS = 1 << 13
FILTERED_ROWS = 1 << 19
"""Rows that a filter looks at together: what it looks for is hashed anew every time."""
READ_AT_ONCE = 1 << 20
"""Bytes of a column that are read from the disk at once."""
RowNumbers = np.ndarray[Any, np.dtype[np.int64]]


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns in the declared order and types.

    Raises `ValueError` when a column is missing, unexpected or null where the schema forbids it.
    """
    if sorted(table.column_names) != sorted(schema.names):
        raise ValueError(f"columns {table.column_names} where {schema.names} were declared")
    columns = []
    for field in schema:
        column = table.column(field.name)
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name!r} has {column.null_count} nulls")
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.table(columns, schema=schema)


class TableWriter:
    """Writes batches of one declared table to one Parquet file.

    The file's bytes follow from the rows alone: row groups do not depend on the batches, nor
    dictionaries on how a column came to be.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file; the parent folder must exist."""
        self.schema = schema
        self.rows = 0
        self._path = path
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, table: pa.Table) -> None:
        """Append rows after checking them against the schema."""
        conformed = conform(table, self.schema)
        self._waiting.append(conformed)
        self._waiting_rows += conformed.num_rows
        self.rows += conformed.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._write_groups(self._waiting_rows - self._waiting_rows % ROW_GROUP_ROWS)

    def _write_groups(self, rows: int) -> None:
        """Write so many of the waiting rows, in row groups that are full except for the last."""
        waiting = pa.concat_tables(self._waiting)
        for start in range(0, rows, ROW_GROUP_ROWS):
            group = waiting.slice(start, min(ROW_GROUP_ROWS, rows - start))
            self._writer.write_table(_plain(group), row_group_size=ROW_GROUP_ROWS)
        self._waiting = [waiting.slice(rows)]
        self._waiting_rows -= rows

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the rows that wait, unless the work failed, and close the file."""
        if error is None:
            self.close()
        else:
            self._writer.close()

    def close(self) -> None:
        """Write the rows that wait and close the file; more cannot be written."""
        try:
            if self._waiting_rows:
                self._write_groups(self._waiting_rows)
        finally:
            self._writer.close()

    def read_back(self, rows: RowNumbers) -> pa.Table:
        """Close the file and read some of the rows that were written, as `read_rows`."""
        self.close()
        return read_rows(self._path, rows)


def _plain(table: pa.Table) -> pa.Table:
    """The same rows in one chunk a column, each dictionary in the order of first appearance."""
    columns = []
    for field in table.schema:
        column = table.column(field.name)
        if pa.types.is_dictionary(field.type):
            columns.append(column.cast(field.type.value_type).combine_chunks().dictionary_encode())
        else:
            columns.append(column.combine_chunks())
    return pa.table(columns, schema=table.schema)


def write_table(path: Path, table: pa.Table, schema: pa.Schema) -> int:
    """Write a whole table; returns its rows."""
    return write_batches(path, [table], schema)


def write_batches(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write tables one after another into one file; returns the rows written."""
    with TableWriter(path, schema) as writer:
        for table in tables:
            writer.write(table)
    return writer.rows


def read_table(
    path: Path, *, columns: list[str] | None = None, encoded: list[str] | None = None
) -> pa.Table:
    """Read a Parquet file, ``encoded`` as in `iterate_batches`.

    Raises `Damaged` when it is none.
    """
    with naming_damage(path):
        read = pq.read_table(path, columns=columns, read_dictionary=encoded)
        return read.unify_dictionaries()


def iterate_batches(
    path: Path,
    *,
    rows: int = ROW_GROUP_ROWS,
    columns: list[str] | None = None,
    encoded: list[str] | None = None,
) -> Iterator[pa.Table]:
    """The file's rows in order, at most ``rows`` at a time; raises `Damaged` as `read_table`.

    Columns that are ``encoded`` come as dictionaries, in which an id takes 4 bytes a row.
    """
    # Read ahead, as Arrow does by default, the whole file would end up in memory.
    with (
        naming_damage(path),
        pq.ParquetFile(
            path, pre_buffer=False, buffer_size=READ_AT_ONCE, read_dictionary=encoded
        ) as file,
    ):
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield pa.Table.from_batches([batch])


def read_where(
    path: Path,
    keep: Callable[[pa.Table], Any],
    *,
    columns: list[str] | None = None,
    encoded: list[str] | None = None,
) -> pa.Table:
    """The rows that ``keep`` marks, of tables that it gets one after another.

    In memory are those rows and `FILTERED_ROWS` at most; ``encoded`` is as in `iterate_batches`.
    Raises `Damaged` as `read_table`.
    """
    found, waiting, rows = [], [], 0
    for batch in iterate_batches(path, columns=columns, encoded=encoded):
        waiting.append(batch)
        rows += batch.num_rows
        if rows > FILTERED_ROWS - ROW_GROUP_ROWS:
            found.append(_kept(waiting, keep))
            waiting, rows = [], 0
    if waiting or not found:
        schema = read_schema(path, columns, encoded)
        found.append(_kept(waiting or [schema.empty_table()], keep))
    return pa.concat_tables(found).unify_dictionaries()


def _kept(batches: list[pa.Table], keep: Callable[[pa.Table], Any]) -> pa.Table:
    rows = pa.concat_tables(batches).unify_dictionaries()
    return rows.filter(keep(rows)).combine_chunks()


def read_schema(
    path: Path, columns: list[str] | None = None, encoded: list[str] | None = None
) -> pa.Schema:
    """The schema of a file, or of some of its columns; raises `Damaged` as `read_table`."""
    with naming_damage(path), pq.ParquetFile(path, read_dictionary=encoded) as file:
        schema = file.schema_arrow
        return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def read_rows(path: Path, rows: RowNumbers) -> pa.Table:
    """Some rows, by ascending numbers, of a file of row groups of `ROW_GROUP_ROWS`.

    In memory are one batch and those rows; raises `Damaged` as `read_table`.
    """
    with (
        naming_damage(path),
        pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_AT_ONCE) as file,
    ):
        found = [file.schema_arrow.empty_table()]
        for group in np.unique(rows // ROW_GROUP_ROWS).tolist():
            first = group * ROW_GROUP_ROWS
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
                start, end = np.searchsorted(rows, (first, first + len(batch)))
                if end > start:
                    taken = batch.take(pa.array(rows[start:end] - first))
                    found.append(pa.Table.from_batches([taken]))
                first += len(batch)
        return pa.concat_tables(found)


def read_row_group(path: Path, number: int, column: str) -> pa.ChunkedArray:
    """One column of one row group of `ROW_GROUP_ROWS`; raises `Damaged` as `read_table`."""
    with naming_damage(path), pq.ParquetFile(path) as file:
        return file.read_row_group(number, columns=[column])[column]


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Raise `Damaged` for a file that is missing or no Parquet; faults that may pass go through."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None) not in (None, errno.ENOENT):
            raise
        reason = str(error).partition("\n")[0]
        raise Damaged(
            f"{path}: not a readable Parquet file ({reason}); "
            "delete the artifact's folder and run again"
        ) from error


def count_rows(path: Path) -> int:
    """The number of rows that the Parquet footer states; raises `Damaged` as `read_table`."""
    with naming_damage(path), pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
