"""The rows of one table in two artifacts: added, removed and changed, by key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.artifacts.inspection.database import FILE, name, parquet, rows
from strop.artifacts.inspection.keys import Comparison

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Pair = tuple[Sequence[Path], Sequence[Path]]
NTH = "nth_of_its_key"
Row = dict[str, Any]


@dataclass(frozen=True)
class Moved:
    """How a measure moved among rows that both have, within one group of them."""

    within: Row
    rows: int
    gained: int
    lost: int
    mean: float
    gains: list[Row]
    losses: list[Row]


@dataclass(frozen=True)
class TableDiff:
    """One table in both artifacts; ``columns`` are those that only one of them has, by side.

    ``changed_columns`` counts the rows in which each column differs; an example of a changed row
    has its key, and for each column that differs the values before and after.
    """

    title: str
    key: tuple[str, ...]
    rows: tuple[int, int]
    columns: tuple[list[str], list[str]]
    types: dict[str, tuple[str, str]]
    added: int
    removed: int
    changed: int
    changed_columns: dict[str, int]
    examples: dict[str, list[Row]]
    queries: tuple[int, int, int] | None
    moved: list[Moved] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        schema = any(self.columns) or self.types
        return not (schema or self.added or self.removed or self.changed)


def compare_tables(
    connection: "DuckDBPyConnection", how: Comparison, files: Pair, examples: int
) -> TableDiff:
    """Compare one table, of which an artifact may have no file, with some examples."""
    types = [_load(connection, side, how, paths) for side, paths in zip("ab", files, strict=True)]
    if not all(types):  # one of them lacks the table: an empty one stands for it
        there, missing = ("a", "b") if types[0] else ("b", "a")
        connection.execute(f"CREATE OR REPLACE TABLE {missing} AS FROM {there} LIMIT 0")
        types = [types[0] or types[1]] * 2
    common = [column for column in types[0] if column in types[1] and column != NTH]
    values = [column for column in common if column not in how.key]
    counts = _counts(connection, how, values)
    changed_columns = {column: counts.pop(f"changed {column}") for column in values}
    return TableDiff(
        title=how.title,
        key=how.key,
        rows=(counts["rows_a"], counts["rows_b"]),
        columns=_only(types),
        types={
            column: (types[0][column], types[1][column])
            for column in common
            if types[0][column] != types[1][column]
        },
        added=counts["added"],
        removed=counts["removed"],
        changed=counts["changed"],
        changed_columns={column: count for column, count in changed_columns.items() if count},
        examples=_examples(connection, how, values, examples),
        queries=_queries(connection) if how.key[0] == "query_id" else None,
        moved=_moved(connection, how, examples) if how.measure else [],
    )


def _load(
    connection: "DuckDBPyConnection", side: str, how: Comparison, paths: Sequence[Path]
) -> dict[str, str]:
    """Make the table of one side, and say its columns' types; rows of equal keys are numbered."""
    if not paths:
        return {}
    key = ", ".join(map(name, how.key))
    source = f"SELECT * EXCLUDE ({FILE}) FROM {parquet(paths)}"
    connection.execute(
        f"CREATE OR REPLACE TABLE {side} AS WITH t AS ({source}), "
        f"listed AS (SELECT {how.columns} FROM {how.source}) "
        f"SELECT *, row_number() OVER (PARTITION BY {key}) AS {NTH} FROM listed"
    )
    described = connection.execute(f"DESCRIBE {side}").fetchall()
    return {row[0]: row[1] for row in described if row[0] != NTH}


def _only(types: Sequence[dict[str, str]]) -> tuple[list[str], list[str]]:
    first, second = types
    return (
        [column for column in first if column not in second],
        [column for column in second if column not in first],
    )


def _join(how: Comparison) -> str:
    """Both sides row by row; a side's `NTH` is null where only the other has the row."""
    on = " AND ".join(f"a.{column} = b.{column}" for column in map(name, (*how.key, NTH)))
    return f"a FULL JOIN b ON {on}"


def _differs(columns: Sequence[str]) -> str:
    found = [f"a.{column} IS DISTINCT FROM b.{column}" for column in map(name, columns)]
    return f"({' OR '.join(found) or 'false'})"


BOTH = f"a.{NTH} IS NOT NULL AND b.{NTH} IS NOT NULL"


def _counts(
    connection: "DuckDBPyConnection", how: Comparison, values: Sequence[str]
) -> dict[str, int]:
    counted = {
        "rows_a": f"a.{NTH} IS NOT NULL",
        "rows_b": f"b.{NTH} IS NOT NULL",
        "added": f"a.{NTH} IS NULL",
        "removed": f"b.{NTH} IS NULL",
        "changed": f"{BOTH} AND {_differs(values)}",
        **{f"changed {column}": f"{BOTH} AND {_differs([column])}" for column in values},
    }
    chosen = ", ".join(f"count_if({test}) AS {name(title)}" for title, test in counted.items())
    return rows(connection, f"SELECT {chosen} FROM {_join(how)}")[0]


def _examples(
    connection: "DuckDBPyConnection", how: Comparison, values: Sequence[str], limit: int
) -> dict[str, list[Row]]:
    found = {}
    for title, side, other in (("added", "b", "a"), ("removed", "a", "b")):
        found[title] = rows(
            connection,
            f"SELECT {side}.* EXCLUDE ({NTH}) FROM {_join(how)} "
            f"WHERE {other}.{NTH} IS NULL {_first(how, side, limit)}",
        )
    both = ", ".join(
        [f"a.{name(column)} AS {name(column)}" for column in how.key]
        + [f"[a.{name(column)}, b.{name(column)}] AS {name(column)}" for column in values]
    )
    changed = rows(
        connection,
        f"SELECT {both} FROM {_join(how)} WHERE {BOTH} AND {_differs(values)} "
        f"{_first(how, 'a', limit)}",
    )
    found["changed"] = [_only_changed(row, how) for row in changed]
    return found


def _first(how: Comparison, side: str, limit: int) -> str:
    return f"ORDER BY {', '.join(f'{side}.{name(column)}' for column in how.key)} LIMIT {limit}"


def _only_changed(row: Row, how: Comparison) -> Row:
    return {
        column: value for column, value in row.items() if column in how.key or value[0] != value[1]
    }


def _queries(connection: "DuckDBPyConnection") -> tuple[int, int, int]:
    """How many queries both have, only the first and only the second."""
    (row,) = rows(
        connection,
        "SELECT count_if(q.query_id IS NOT NULL AND r.query_id IS NOT NULL) AS both_have, "
        "count_if(r.query_id IS NULL) AS first, count_if(q.query_id IS NULL) AS second "
        "FROM (SELECT DISTINCT query_id FROM a) q "
        "FULL JOIN (SELECT DISTINCT query_id FROM b) r ON q.query_id = r.query_id",
    )
    return (row["both_have"], row["first"], row["second"])


def _moved(connection: "DuckDBPyConnection", how: Comparison, limit: int) -> list[Moved]:
    measure = name(how.measure or "")
    kept = map(name, dict.fromkeys([*how.key, *how.within]))
    shown = ", ".join(f"a.{column} AS {column}" for column in kept)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE moves AS SELECT {shown}, a.{measure} AS before, "
        f"b.{measure} AS after, b.{measure}::DOUBLE - a.{measure}::DOUBLE AS change "
        f"FROM {_join(how)} WHERE a.{measure} IS NOT NULL AND b.{measure} IS NOT NULL"
    )
    within = ", ".join(map(name, how.within))
    found = rows(
        connection,
        f"SELECT {within + ', ' if within else ''}count(*) AS n, count_if(change > 0) AS gained, "
        "count_if(change < 0) AS lost, avg(change) AS mean FROM moves "
        + (f"GROUP BY {within} ORDER BY {within}" if within else ""),
    )
    return [_one_group(connection, how, row, limit) for row in found if row["n"]]


def _one_group(connection: "DuckDBPyConnection", how: Comparison, row: Row, limit: int) -> Moved:
    group = {column: row[column] for column in how.within}
    test = " AND ".join(f"{name(column)} = ${index}" for index, column in enumerate(group, 1))
    key = [column for column in how.key if column not in group]
    shown = ", ".join(map(name, [*key, "before", "after", "change"]))
    extremes = []
    for side, order in ((">", "DESC"), ("<", "ASC")):
        sql = (
            f"SELECT {shown} FROM moves WHERE {test or 'true'} AND change {side} 0 "
            f"ORDER BY change {order}, {', '.join(map(name, key))} LIMIT {limit}"
        )
        result = connection.execute(sql, list(group.values()))
        titles = [column[0] for column in result.description]
        extremes.append([dict(zip(titles, item, strict=True)) for item in result.fetchall()])
    return Moved(group, row["n"], row["gained"], row["lost"], row["mean"], *extremes)
