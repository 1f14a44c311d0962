"""`strop artifacts lineage`: up to the data, down to everything that was made from it."""

import sys
from typing import Any

from rich.text import Text
from rich.tree import Tree

from strop.artifacts.inspection.catalog import Entry, read_catalog, refuse_damaged
from strop.artifacts.inspection.lineage import Lineage, Step, lineage
from strop.artifacts.inspection.lineage_graph import mermaid, svg
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.cli.output import console, print_json

WRITERS = {"mermaid": mermaid, "svg": svg}


def show_lineage(store: Store, manifest: Manifest, shape: str, *, json: bool) -> None:
    """Print an artifact's lineage; raises `Damaged` where a manifest cannot be read."""
    catalog = read_catalog(store)
    refuse_damaged(catalog)
    found = lineage(catalog.entries, Entry.of(manifest))
    if json:
        print_json(_told(found))
    elif shape in WRITERS:
        sys.stdout.write(WRITERS[shape](found))
    else:
        _print_text(found)


def _print_text(found: Lineage) -> None:
    target, out = found.target, console()
    name, about = f"{target.kind} {target.id}", "was made from" if found.up else "is a root"
    out.print(_tree(Text.assemble((name, "bold"), f" ({target.stage}) {about}"), found.up))
    title = f"from {name} were made"
    out.print(_tree(title, found.down) if found.down else "nothing was made from it")
    for key, role, ref in found.missing:
        out.print(f"not in the store: {ref.kind} {ref.id}, the {role} of {key[0]} {key[1]}")


def _tree(title: str | Text, steps: list[Step]) -> Tree:
    tree = Tree(title)
    nodes = {0: tree}
    for depth, role, entry in steps:
        nodes[depth] = nodes[depth - 1].add(f"{role}: {entry.kind} {entry.id} ({entry.stage})")
    return tree


def _told(found: Lineage) -> dict[str, Any]:
    def steps(items: list[Step]) -> list[dict[str, Any]]:
        return [
            {"depth": depth, "role": role, "kind": item.kind, "id": item.id, "stage": item.stage}
            for depth, role, item in items
        ]

    return {
        "kind": found.target.kind,
        "id": found.target.id,
        "stage": found.target.stage,
        "up": steps(found.up),
        "down": steps(found.down),
        "missing": [
            {"of": list(key), "role": role, "kind": ref.kind, "id": ref.id}
            for key, role, ref in found.missing
        ],
    }
