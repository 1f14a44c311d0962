"""`strop artifacts verify`: whether every artifact still is what its manifest says."""

from dataclasses import asdict
from typing import Any

import typer

from strop.artifacts.errors import StoreError
from strop.artifacts.inspection.catalog import Entry
from strop.artifacts.inspection.membership import Key, Membership, memberships
from strop.artifacts.store import Store
from strop.artifacts.upkeep.remedy import remedy
from strop.artifacts.verify import Defect, readable, verify
from strop.cli.artifacts.text import size_text
from strop.cli.output import FAILED, console, print_json
from strop.pipeline.errors import counted


def verify_artifacts(store: Store, artifact: str | None, *, deep: bool, json: bool) -> None:
    """Print every defect, and what makes good artifacts of them; exit code 1 when there is one."""
    manifests, defects = readable(store)
    chosen = manifests if artifact is None else [store.find(artifact)]
    verified = list(verify(store, chosen, deep=deep))
    if artifact is not None:
        defects = []
    defects += [defect for _, found in verified for defect in found]
    runs = _runs(store, [Entry.of(item) for item in manifests]) if defects else {}
    remedies = {
        (item.kind, item.id): remedy(item.stage, runs.get((item.kind, item.id), []))
        for item in defects
    }
    count = len(verified) + len({item.path for item in defects if not item.stage})
    if json:
        print_json({"artifacts": count, "defects": [_told(item, remedies) for item in defects]})
    else:
        _print(store, defects, remedies)
        size = sum(manifest.size for manifest, _ in verified)
        damaged = len(remedies)
        print(f"{counted(count, 'artifacts')}, {size_text(size)}: {damaged or 'none'} damaged")
    if defects:
        raise typer.Exit(FAILED)


def _runs(store: Store, entries: list[Entry]) -> dict[Key, list[Membership]]:
    try:
        return memberships(store, entries)
    except (StoreError, ValueError, TypeError):  # a damaged record names no runs
        return {}


def _told(defect: Defect, remedies: dict[Key, str]) -> dict[str, Any]:
    return {**asdict(defect), "remedy": remedies[(defect.kind, defect.id)]}


def _print(store: Store, defects: list[Defect], remedies: dict[Key, str]) -> None:
    out = console()
    for defect in defects:
        stage = f" ({defect.stage})" if defect.stage else ""
        out.print(f"{defect.kind} {defect.id}{stage}: {defect.problem}")
        out.print(f"  {defect.path}", soft_wrap=True)
    for (kind, artifact_id), command in remedies.items():
        home = store.home(kind, artifact_id)
        text = f"to make {kind} {artifact_id} again: delete {home}, then {command}"
        out.print(text, soft_wrap=True)
