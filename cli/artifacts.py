"""`strop artifacts`: list, show and verify what is in the store."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.tree import Tree

from strop.artifacts import lineage as lines
from strop.artifacts.manifest import Manifest
from strop.artifacts.schemas import KINDS
from strop.artifacts.store import Store
from strop.artifacts.verify import verify as verify_artifacts
from strop.cli.options import STORE, JsonOption, StoreOption, existing_store
from strop.cli.output import FAILED, REFUSED, console, end_with_error, print_json

artifacts_app = typer.Typer(help="Look at the versioned artifacts.", no_args_is_help=True)


@artifacts_app.command("ls")
def list_artifacts(
    store: StoreOption = STORE,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    json: JsonOption = False,
) -> None:
    """List artifacts, oldest first."""
    if kind is not None and kind not in KINDS:
        end_with_error(f"kind {kind!r}: unknown; expected {', '.join(KINDS)}", code=REFUSED)
    found = existing_store(store).artifacts(kind)
    if json:
        print_json([_row(manifest) for manifest in found])
        return
    table = Table()
    for name in ("kind", "id", "stage", "created", "size", "summary"):
        table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name == "id")
    for item in found:
        created = item.created.replace("+00:00", "Z")
        table.add_row(
            item.kind, item.id, item.stage, created, _size(item.size), _summary(item.summary)
        )
    console().print(table)


@artifacts_app.command()
def show(
    artifact: Annotated[str, typer.Argument(help="Id, or its first digits.")],
    store: StoreOption = STORE,
    rows: Annotated[int, typer.Option(min=0, help="First rows of each table to show.")] = 3,
    json: JsonOption = False,
) -> None:
    """Show one artifact: where it came from, what it holds, and its first rows."""
    opened = existing_store(store)
    manifest = opened.find(artifact)
    if json:
        print_json(asdict(manifest) | {"folder": str(opened.folder(manifest))})
        return
    out = console()
    out.print(f"[bold]{manifest.kind} {manifest.id}[/]  made by {manifest.stage}")
    out.print(f"created {manifest.created} in {manifest.seconds:.1f} s on {manifest.device}")
    out.print(f"folder  {opened.folder(manifest)}")
    _print_mapping(out, "summary", manifest.summary)
    _print_mapping(out, "parameters", manifest.parameters)
    _print_mapping(out, "execution", manifest.execution)
    inputs = {role: f"{ref.kind} {ref.id}" for role, ref in manifest.inputs.items()}
    _print_mapping(out, "made from", inputs)
    _print_files(out, opened, manifest, rows)


@artifacts_app.command()
def lineage(
    artifact: Annotated[str, typer.Argument(help="Id, or its first digits.")],
    store: StoreOption = STORE,
) -> None:
    """Show what an artifact was made from, and what was made from it."""
    opened = existing_store(store)
    manifest = opened.find(artifact)
    tree = Tree(f"[bold]{manifest.kind} {manifest.id}[/] ({manifest.stage}) was made from")
    nodes = {0: tree}
    for depth, role, parent in lines.ancestors(opened, manifest):
        label = f"{role}: {parent.kind} {parent.id} ({parent.stage})"
        nodes[depth] = nodes[depth - 1].add(label)
    out = console()
    out.print(tree)
    made = lines.children(opened, manifest)
    out.print("from it were made" if made else "nothing was made from it")
    for child in made:
        out.print(f"  {child.kind} {child.id} ({child.stage})")


@artifacts_app.command()
def verify(
    artifact: Annotated[str | None, typer.Argument(help="Id; all when not given.")] = None,
    store: StoreOption = STORE,
    json: JsonOption = False,
) -> None:
    """Check every file against its manifest; exit code 1 when something is damaged."""
    opened = existing_store(store)
    chosen = [opened.find(artifact)] if artifact else opened.artifacts()
    found = list(verify_artifacts(opened, chosen))
    defects = [defect for _, problems in found for defect in problems]
    if json:
        print_json({"artifacts": len(found), "defects": [asdict(defect) for defect in defects]})
    else:
        out = console()
        for defect in defects:
            out.print(f"{defect.kind} {defect.id} ({defect.stage}): {defect.problem}")
        size = sum(manifest.size for manifest, _ in found)
        damaged = len({defect.id for defect in defects})
        out.print(f"{len(found)} artifacts, {_size(size)}: {damaged or 'none'} damaged")
    if defects:
        raise typer.Exit(FAILED)


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "kind": manifest.kind,
        "id": manifest.id,
        "stage": manifest.stage,
        "created": manifest.created,
        "seconds": manifest.seconds,
        "bytes": manifest.size,
        "summary": manifest.summary,
    }


def _print_mapping(out: Any, title: str, values: dict[str, Any]) -> None:
    if values:
        out.print(f"\n[bold]{title}[/]")
    width = max((len(key) for key in values), default=0)
    for key, value in values.items():
        out.print(f"  {key:<{width}}  {_value(value)}")


def _print_files(out: Any, store: Store, manifest: Manifest, rows: int) -> None:
    out.print("\n[bold]files[/]")
    for name, entry in manifest.files.items():
        count = f"  {entry.rows:,} rows" if entry.rows is not None else ""
        out.print(f"  {name}  {_size(entry.bytes)}{count}")
    for name, entry in manifest.files.items():
        if rows and entry.rows is not None:
            _print_rows(out, store, manifest, name, rows)


def _print_rows(out: Any, store: Store, manifest: Manifest, name: str, rows: int) -> None:
    from strop.artifacts.tables import iterate_batches

    head = next(iterate_batches(store.file(manifest, name), rows=rows), None)
    if head is None:
        return
    table = Table(title=name, title_justify="left")
    for column in head.schema:
        table.add_column(f"{column.name}\n[dim]{_type(column.type)}[/]", overflow="fold")
    for row in head.slice(0, rows).to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    out.print(table)


def _type(kind: Any) -> str:
    text = str(kind)
    return "label" if text.startswith("dictionary") else text.split("<")[0]


def _cell(value: Any) -> str:
    text = _value(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    return str(value)


def _summary(summary: dict[str, Any]) -> str:
    text = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in summary.items())
    return text if len(text) <= 100 else f"{text[:97]}…"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
