"""SQL over everything in the store: a view a table, with artifact, run and round as columns."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from strop.artifacts.errors import NotFound, StoreError
from strop.artifacts.inspection.catalog import Catalog, Entry, read_catalog, refuse_damaged
from strop.artifacts.inspection.database import (
    FILE,
    connected,
    lock,
    name,
    naming_damage,
    one_line,
    parquet,
)
from strop.artifacts.inspection.membership import Key, Membership, memberships
from strop.artifacts.manifest import Manifest
from strop.artifacts.schemas import TABLES
from strop.artifacts.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARD = re.compile(r"-\d{5}$")
VECTORS = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32()))])
UNDECLARED = {"embeddings": {"passages": VECTORS, "queries": VECTORS}}
"""Tables whose width differs from artifact to artifact, as SQL sees them."""
BATCH_ROWS = 1024


@dataclass(frozen=True)
class Answer:
    """The columns of a query's result, and its rows in batches."""

    columns: list[str]
    batches: Iterator[list[tuple[Any, ...]]]


def view_name(kind: str, table: str) -> str:
    """The name of a table's view: ``negatives``, ``metrics_per_query``."""
    return kind if table == kind else f"{kind}_{table}"


def view_schemas() -> dict[str, tuple[str, str, pa.Schema]]:
    """Every view of a table, with the kind, the table and the schema that it declares."""
    return {
        view_name(kind, table): (kind, table, schema)
        for kind, declared in {**TABLES, **UNDECLARED}.items()
        for table, schema in declared.items()
    }


@contextmanager
def query(store: Store, sql: str) -> Iterator[Answer]:
    """The answer to one SELECT, to be read while entered.

    Every view has ``artifact``, ``run`` and ``round`` before its own columns, and a row for each
    run and round that has the artifact; where a table has a ``round`` of its own, the artifact's
    is ``artifact_round``. Raises `StoreError` for what is no single SELECT or fails, in one line.
    """
    import duckdb

    catalog = read_catalog(store)
    refuse_damaged(catalog)
    with connected() as connection:
        _refuse_others(connection, sql)
        _add_facts(connection, catalog, found := memberships(store, catalog.entries))
        with naming_damage():
            lock(connection, _add_tables(connection, store, catalog, found, sql))
        try:
            result = connection.execute(sql)
            titles = [column[0] for column in result.description]
            yield Answer(_distinct(titles), _batches(result))
        except duckdb.Error as error:
            raise StoreError(f"query: {_one_line(str(error))}") from error


def _refuse_others(connection: "DuckDBPyConnection", sql: str) -> None:
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise StoreError(f"query: {_one_line(str(error))}") from error
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise StoreError(f"query: found {found}, expected one SELECT; the store is only read")


def _one_line(message: str) -> str:
    """The first line of what DuckDB says, with its hints; a missing view names those there are."""
    if "Table with name" in message:
        first = message.lstrip().splitlines()[0].strip()
        return f"{first} The views are {', '.join([*FACTS, *view_schemas()])}"
    return one_line(message)


def _distinct(titles: Sequence[str]) -> list[str]:
    """The titles, of which a join may give the same one twice: the second ``a`` is ``a_1``."""
    found: list[str] = []
    for title in titles:
        numbered = (f"{title}_{number}" for number in itertools.count(1))
        free = (other for other in numbered if other not in found and other not in titles)
        found.append(next(free) if title in found else title)
    return found


def _batches(result: "DuckDBPyConnection") -> Iterator[list[tuple[Any, ...]]]:
    while batch := result.fetchmany(BATCH_ROWS):
        yield batch


FACTS = {
    "artifacts": pa.schema(
        [
            ("artifact", pa.string()),
            ("kind", pa.string()),
            ("stage", pa.string()),
            ("created", pa.string()),
            ("seconds", pa.float64()),
            ("bytes", pa.int64()),
            ("rows", pa.int64()),
            ("digest", pa.string()),
            ("summary", pa.string()),
        ]
    ),
    "inputs": pa.schema([(key, pa.string()) for key in ("artifact", "role", "kind", "input")]),
    "runs": pa.schema(
        [
            ("artifact", pa.string()),
            ("kind", pa.string()),
            ("run", pa.string()),
            ("part", pa.string()),
            ("round", pa.int32()),
            ("role", pa.string()),
        ]
    ),
}
"""Views of the manifests and of the runs' records; a summary is JSON."""


def _add_facts(
    connection: "DuckDBPyConnection", catalog: Catalog, found: dict[Key, list[Membership]]
) -> None:
    values: dict[str, list[dict[str, Any]]] = {
        "artifacts": [_fact(entry) for entry in catalog.entries],
        "inputs": [
            {"artifact": entry.id, "role": role, "kind": ref.kind, "input": ref.id}
            for entry in catalog.entries
            for role, ref in entry.inputs.items()
        ],
        "runs": [
            {"artifact": key[1], "kind": key[0], **vars(item)}
            for key, items in found.items()
            for item in items
        ],
    }
    for title, schema in FACTS.items():
        connection.register(title, pa.Table.from_pylist(values[title], schema=schema))


def _fact(entry: Entry) -> dict[str, Any]:
    values = {key: getattr(entry, key) for key in ("kind", "stage", "created", "seconds", "rows")}
    summary = json.dumps(entry.summary, ensure_ascii=False)
    return {
        "artifact": entry.id,
        "bytes": entry.size,
        "digest": entry.digest,
        "summary": summary,
        **values,
    }


def _add_tables(
    connection: "DuckDBPyConnection",
    store: Store,
    catalog: Catalog,
    found: dict[Key, list[Membership]],
    sql: str,
) -> list[Path]:
    """Make the views; those that the query names read files, which are returned."""
    opened: list[Path] = []
    for view, (kind, table, schema) in view_schemas().items():
        asked = re.search(rf"\b{view}\b", sql, re.IGNORECASE)
        entries = [entry for entry in catalog.entries if asked and entry.kind == kind]
        paths = _files(store, entries, table)
        if paths:
            opened += list(paths)
            _add_view(connection, view, schema, paths, found)
        else:
            connection.register(view, _provenance(schema).empty_table())
    return opened


def _files(store: Store, entries: Sequence[Entry], table: str) -> dict[Path, Entry]:
    """The files of a table, or the shards of it, by the artifact that has them."""
    paths: dict[Path, Entry] = {}
    for entry in entries:
        try:
            manifest = store.manifest(entry.ref)
        except NotFound:  # deleted while we looked
            continue
        paths |= dict.fromkeys(table_files(store, manifest, table), entry)
    return paths


def table_files(store: Store, manifest: Manifest, table: str) -> list[Path]:
    """The file of a table of an artifact, or its shards in order; none where it has no such."""
    return [
        store.file(manifest, file)
        for file, about in sorted(manifest.files.items())
        if about.rows is not None and SHARD.sub("", file.removesuffix(".parquet")) == table
    ]


def _provenance(schema: pa.Schema) -> pa.Schema:
    first = [("artifact", pa.string()), ("run", pa.string()), (_round_of(schema), pa.int32())]
    return pa.schema([*(pa.field(*item) for item in first), *schema])


def _round_of(schema: pa.Schema) -> str:
    return "artifact_round" if "round" in schema.names else "round"


def _add_view(
    connection: "DuckDBPyConnection",
    view: str,
    schema: pa.Schema,
    paths: dict[Path, Entry],
    found: dict[Key, list[Membership]],
) -> None:
    rows = []
    for path, entry in paths.items():
        items = found.get((entry.kind, entry.id), [])
        places: list[tuple[str | None, int | None]] = [(item.run, item.round) for item in items]
        for run, number in dict.fromkeys(places or [(None, None)]):
            rows.append({"file": str(path), "artifact": entry.id, "run": run, "round": number})
    fields = [("file", pa.string()), ("artifact", pa.string()), ("run", pa.string())]
    made = pa.Table.from_pylist(rows, schema=pa.schema([*fields, ("round", pa.int32())]))
    connection.register(f"files of {view}", made)
    connection.execute(
        f"CREATE VIEW {view} AS SELECT f.artifact, f.run, f.round AS {_round_of(schema)}, "
        f"t.* EXCLUDE ({FILE}) FROM {parquet(list(paths))} t "
        f"JOIN {name(f'files of {view}')} f ON f.file = t.{FILE}"
    )
