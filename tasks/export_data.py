"""Negatives out of the store, for other trainers; nothing is made or kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from strop.artifacts import tables
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.pipeline.data.exporting import Export, read_groups
from strop.pipeline.errors import InputError
from strop.tasks.chosen_rows import chosen_rows


@dataclass(frozen=True)
class Exported:
    """The lines of an export, and what is left out of them, known when all lines were read."""

    lines: Iterator[str]
    left_out: Counter[str]


def export_negatives(store: Store, artifact_id: str, name: str, *, scores: bool) -> Exported:
    """The lines of a negatives artifact in another format; raises `InputError`."""
    manifest = store.find(artifact_id)
    if manifest.kind != "negatives":
        raise InputError(
            f"{manifest.kind} {manifest.id}: expected a negatives artifact; see "
            "`strop artifacts ls --kind negatives`"
        )
    selection = _selection(store, manifest)
    dataset = store.manifest(manifest.inputs["dataset"])
    groups = read_groups(
        store.table(manifest, "negatives"),
        chosen_rows(store, selection.ref),
        store.table(dataset, "queries"),
        tables.iterate_batches(store.file(dataset, "corpus.parquet")),
    )
    export = Export(groups, scores)
    return Exported(export.lines(name), export.left_out)


def _selection(store: Store, negatives: Manifest) -> Manifest:
    """The selection that negatives, or those that they are a part of, were read off."""
    while "selection" not in negatives.inputs:
        negatives = store.manifest(negatives.inputs["negatives"])
    return store.manifest(negatives.inputs["selection"])
