"""`strop artifacts lineage`: up to the data, down to everything that was made from it."""

import sys
from typing import Any

from strop.artifacts.inspection.catalog import Entry, read_catalog, refuse_damaged
from strop.artifacts.inspection.lineage import Lineage, Step, lineage
from strop.artifacts.inspection.lineage_graph import mermaid, svg
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.cli.artifacts.text import tree_branches
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
    name = f"{target.kind} {target.id}"
    out.print(name, style="bold", end="")
    out.print(f" ({target.stage}) {'was made from' if found.up else 'is a root'}")
    _print_steps(found.up)
    print(f"from {name} were made" if found.down else "nothing was made from it")
    _print_steps(found.down)
    for key, role, ref in found.missing:
        print(f"not in the store: {ref.kind} {ref.id}, the {role} of {key[0]} {key[1]}")


def _print_steps(steps: list[Step]) -> None:
    """A tree of lines that are never folded, however deep: every round is four steps deeper."""
    branches = tree_branches([depth for depth, _, _ in steps])
    for branch, (_, role, entry) in zip(branches, steps, strict=True):
        print(f"{branch}{role}: {entry.kind} {entry.id} ({entry.stage})")


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
