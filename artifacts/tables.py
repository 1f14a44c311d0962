"""Parquet tables with a declared schema, written and read in batches."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from strop.artifacts.errors import Damaged

ROW_GROUP_ROWS = 1 << 16


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns in the declared order and types.

    Raises `ValueError` when a column is missing, unexpected or null where the schema forbids it.
    """
    if set(table.column_names) != set(schema.names):
        raise ValueError(f"columns {table.column_names} where {schema.names} were declared")
    columns = []
    for field in schema:
        column = table.column(field.name)
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name!r} has {column.null_count} nulls")
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.table(columns, schema=schema)


class TableWriter:
    """Writes batches of one declared table to one Parquet file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file; the parent folder must exist."""
        self.schema = schema
        self.rows = 0
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, table: pa.Table) -> None:
        """Append rows after checking them against the schema."""
        conformed = conform(table, self.schema)
        self._writer.write_table(conformed.unify_dictionaries(), row_group_size=ROW_GROUP_ROWS)
        self.rows += conformed.num_rows

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._writer.close()


def write_table(path: Path, table: pa.Table, schema: pa.Schema) -> int:
    """Write a whole table; returns its rows."""
    return write_batches(path, [table], schema)


def write_batches(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write tables one after another into one file; returns the rows written."""
    with TableWriter(path, schema) as writer:
        for table in tables:
            writer.write(table)
    return writer.rows


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file; raises `Damaged` when it is none."""
    try:
        return pq.read_table(path, columns=columns).unify_dictionaries()
    except (pa.ArrowInvalid, OSError) as error:
        raise Damaged(f"{path}: not a readable Parquet file ({error})") from error


def iterate_batches(
    path: Path, *, rows: int = ROW_GROUP_ROWS, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """The file's rows in order, at most ``rows`` at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield pa.Table.from_batches([batch])


def count_rows(path: Path) -> int:
    """The number of rows that the Parquet footer states."""
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
