"""Measured rankings beside each other, from the metrics that there are; nothing is stored."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from strop.artifacts import durable
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store


def put_beside(
    store: Store,
    metrics_by_name: dict[str, ArtifactRef],
    *,
    split: str,
    metric: str | None,
    seed: int,
    samples: int,
) -> list[dict[str, Any]]:
    """One row a round and ranking, with its change against the first round's."""
    from strop.pipeline.evaluation.beside import Measured, beside

    sides = [Measured(name, store.table(ref, "per_query")) for name, ref in metrics_by_name.items()]
    rows = beside(sides, split=split, metric=metric, seed=seed, samples=samples)
    return [asdict(row) for row in rows]


def draw_beside(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the rows as a figure in the form that the path's ending names, whole or not at all."""
    from strop.pipeline.reporting.beside import beside_picture

    durable.replace(path, beside_picture(rows, path.suffix.lower()))
