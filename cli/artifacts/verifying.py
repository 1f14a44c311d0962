"""`strop artifacts verify`: whether every artifact still is what its manifest says."""

from dataclasses import asdict

import typer

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.verify import verify
from strop.cli.artifacts.text import size_text
from strop.cli.output import FAILED, console, print_json


def verify_artifacts(store: Store, chosen: list[Manifest], *, json: bool) -> None:
    """Print every defect; exit code 1 when there is one."""
    found = list(verify(store, chosen))
    defects = [defect for _, problems in found for defect in problems]
    if json:
        print_json({"artifacts": len(found), "defects": [asdict(defect) for defect in defects]})
    else:
        out = console()
        for defect in defects:
            out.print(f"{defect.kind} {defect.id} ({defect.stage}): {defect.problem}")
        size = sum(manifest.size for manifest, _ in found)
        damaged = len({defect.id for defect in defects})
        out.print(f"{len(found)} artifacts, {size_text(size)}: {damaged or 'none'} damaged")
    if defects:
        raise typer.Exit(FAILED)
