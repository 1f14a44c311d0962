"""What differs between two artifacts of a kind: how they were made, and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strop.artifacts.errors import StoreError
from strop.artifacts.inspection.database import connected, naming_damage
from strop.artifacts.inspection.keys import comparisons
from strop.artifacts.inspection.query import table_files
from strop.artifacts.inspection.table_diff import TableDiff, compare_tables
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Pair = tuple[Any, Any]
"""A value of the first artifact and of the second; None where it has none."""


@dataclass(frozen=True)
class Diff:
    """Two artifacts beside each other; every mapping holds only what differs.

    ``made`` are stage, recipe, schema version and versions of libraries; ``files`` are those that
    are no tables, by their digests.
    """

    before: Manifest
    after: Manifest
    made: dict[str, Pair]
    parameters: dict[str, Pair]
    inputs: dict[str, Pair]
    summary: dict[str, Pair]
    files: dict[str, Pair]
    tables: list[TableDiff]

    @property
    def same_content(self) -> bool:
        """Whether the files are the same, bit for bit."""
        return self.before.digest == self.after.digest


def diff(store: Store, before: Manifest, after: Manifest, *, examples: int) -> Diff:
    """Compare two artifacts, with so many examples of each sort of change.

    Raises `StoreError` when they are of two kinds.
    """
    if before.kind != after.kind:
        raise StoreError(
            f"diff: {before.id} is a {before.kind} artifact and {after.id} a {after.kind} one; "
            "expected two of one kind"
        )
    with connected() as connection, naming_damage():
        tables = _tables(connection, store, (before, after), examples)
    return Diff(
        before=before,
        after=after,
        made=differing(_made(before), _made(after)),
        parameters=differing(flat(before.parameters), flat(after.parameters)),
        inputs=differing(_inputs(before), _inputs(after)),
        summary=differing(flat(before.summary), flat(after.summary)),
        files=differing(_other_files(before), _other_files(after)),
        tables=tables,
    )


def _tables(
    connection: "DuckDBPyConnection", store: Store, pair: Sequence[Manifest], examples: int
) -> list[TableDiff]:
    found = []
    for how in comparisons(pair[0].kind):
        before, after = (table_files(store, item, how.table) for item in pair)
        if before or after:
            found.append(compare_tables(connection, how, (before, after), examples))
    return found


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Pair]:
    """The keys whose values differ, sorted, with both values."""
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _made(item: Manifest) -> dict[str, Any]:
    facts = {"stage": item.stage, "recipe": item.recipe, "schema version": item.schema_version}
    return {**facts, "device": item.device, **item.versions}


def _inputs(item: Manifest) -> dict[str, str]:
    """Inputs with equal content are the same, under whatever id they were made."""
    return {role: f"{ref.kind} {ref.id} ({ref.digest[:12]})" for role, ref in item.inputs.items()}


def _other_files(item: Manifest) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in item.files.items() if entry.rows is None}
