"""`strop artifacts show`: one artifact's manifest, schema, statistics and first rows."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strop.artifacts.inspection.catalog import read_catalog
from strop.artifacts.inspection.membership import memberships
from strop.artifacts.inspection.statistics import Column, column_statistics, type_text
from strop.artifacts.manifest import Manifest
from strop.artifacts.notes import notes
from strop.artifacts.store import Store
from strop.artifacts.tables import iterate_batches
from strop.cli.artifacts.text import cell_text, size_text, value_text
from strop.cli.output import console, print_json
from strop.pipeline.errors import counted


def show_artifact(store: Store, manifest: Manifest, *, rows: int, json: bool) -> None:
    """Print what is known of an artifact, and the first rows of its tables."""
    found = memberships(store, read_catalog(store).entries).get((manifest.kind, manifest.id), [])
    tables = [name for name, entry in manifest.files.items() if entry.rows is not None]
    statistics = {name: column_statistics(store.file(manifest, name)) for name in tables}
    if json:
        told: dict[str, Any] = asdict(manifest) | {"folder": str(store.place(manifest))}
        told["notes"] = notes(store, manifest.ref)
        told["runs"] = [vars(item) for item in found]
        told["columns"] = {name: [_plain(item) for item in statistics[name]] for name in tables}
        print_json(told)
        return
    out = console()
    out.print(f"{manifest.kind} {manifest.id}", style="bold", end="")
    out.print(f"  made by {manifest.stage}")
    out.print(f"created {manifest.created} in {manifest.seconds:.1f} s on {manifest.device}")
    out.print(f"folder  {store.place(manifest)}", soft_wrap=True)
    for item in found:
        role = f" as {item.role}" if item.role else ""
        out.print(f"run     {item.run}, {item.part}{role}")
    for note in notes(store, manifest.ref):
        out.print(f"note    {value_text(note)}")
    _print_mapping(out, "summary", manifest.summary)
    _print_mapping(out, "parameters", manifest.parameters)
    _print_mapping(out, "execution", manifest.execution)
    inputs = {role: f"{ref.kind} {ref.id}" for role, ref in manifest.inputs.items()}
    _print_mapping(out, "made from", inputs)
    _print_mapping(out, "versions", manifest.versions)
    out.print("\nfiles", style="bold")
    for name, entry in manifest.files.items():
        count = f"  {counted(entry.rows, 'rows')}" if entry.rows is not None else ""
        out.print(f"  {name}  {size_text(entry.bytes)}{count}")
    for name in tables:
        _print_columns(out, name, statistics[name])
        if rows:
            _print_rows(out, store, manifest, name, rows)


def _plain(column: Column) -> dict[str, Any]:
    return {
        key: value if isinstance(value, int | float | str | None) else str(value)
        for key, value in vars(column).items()
    }


def _print_mapping(out: Console, title: str, values: dict[str, Any]) -> None:
    if values:
        out.print(f"\n{title}", style="bold")
    width = max((len(key) for key in values), default=0)
    for key, value in values.items():
        out.print(f"  {key:<{width}}  {value_text(value)}")


def _print_columns(out: Console, name: str, found: list[Column]) -> None:
    table = Table(title=f"{name}: columns", title_justify="left")
    for title in ("column", "type", "nulls", "lowest", "highest"):
        table.add_column(title, overflow="fold")
    for column in found:
        nulls = "none allowed" if not column.nullable else value_text(column.nulls)
        bounds = ("" if bound is None else cell_text(bound, 40) for bound in _bounds(column))
        table.add_row(column.name, column.type, nulls, *bounds)
    out.print(table)


def _bounds(column: Column) -> tuple[Any, Any]:
    return (column.low, column.high)


def _print_rows(out: Console, store: Store, manifest: Manifest, name: str, rows: int) -> None:
    head = next(iterate_batches(store.file(manifest, name), rows=rows), None)
    if head is None:
        return
    read = head.slice(0, rows).to_pylist()
    found = [{key: cell_text(value) for key, value in row.items()} for row in read]
    if _width(head.schema, found) > out.width:
        room = out.width - max(map(len, head.schema.names)) - 4
        for number, row in enumerate(read, start=1):
            cells = {key: cell_text(value, room) for key, value in row.items()}
            _print_mapping(out, f"{name}: row {number}", cells)
        return
    table = Table(title=f"{name}: first rows", title_justify="left")
    for column in head.schema:
        title = Text.assemble(column.name, "\n", (type_text(column.type), "dim"))
        table.add_column(title, overflow="fold")
    for row in found:
        table.add_row(*row.values())
    out.print(table)


def _width(schema: pa.Schema, rows: list[dict[str, str]]) -> int:
    """The width of a table whose cells are not folded."""
    widths = [
        max(len(column.name), len(type_text(column.type)), *(len(row[column.name]) for row in rows))
        for column in schema
    ]
    return sum(widths) + 3 * len(widths) + 1
