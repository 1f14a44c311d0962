"""DuckDB over the store's tables: in memory, reading the named files and nothing else."""

import re
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.artifacts.errors import Damaged, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

PATTERN = re.compile(r"[*?\[\]]")
FILE = "strop_file"
"""The column that names the file that a row came from."""


def text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def parquet(paths: Sequence[Path]) -> str:
    """The SQL source that reads these files, columns matched by name, with `FILE` as one more.

    Raises `StoreError` for a path that DuckDB would take as a pattern.
    """
    for path in paths:
        if PATTERN.search(str(path)):
            raise StoreError(
                f"{path}: has one of * ? [ ] in its path, which SQL takes as a pattern; "
                "open the store under another path"
            )
    listed = ", ".join(text(str(path)) for path in paths)
    return f"read_parquet([{listed}], filename = {text(FILE)}, union_by_name = true)"


@contextmanager
def connected() -> "Iterator[DuckDBPyConnection]":
    """A connection to an empty database in memory that takes no Python variables for tables."""
    import duckdb  # late: most commands need no database

    with duckdb.connect(":memory:") as connection:
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection


@contextmanager
def naming_damage() -> "Iterator[None]":
    """Raise `Damaged`, in one line, for a file of the store that DuckDB cannot read."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise Damaged(
            f"{one_line(str(error))}; `strop artifacts verify` names what is damaged and what makes"
            " it again"
        ) from error


def one_line(message: str) -> str:
    """What DuckDB says, without its hints."""
    lines = (line.strip() for line in message.split("\n\n")[0].splitlines())
    return " ".join(line for line in lines if set(line) - {"^"})


def lock(connection: "DuckDBPyConnection", paths: Iterable[Path]) -> None:
    """From now on the connection opens these files only, and no setting can be changed back."""
    allowed = ", ".join(text(str(path)) for path in paths)
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def rows(connection: "DuckDBPyConnection", sql: str) -> list[dict[str, Any]]:
    """The rows of a query as mappings."""
    result = connection.execute(sql)
    titles = [column[0] for column in result.description]
    return [dict(zip(titles, row, strict=True)) for row in result.fetchall()]
