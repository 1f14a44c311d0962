"""What a data set's gate lacks for a promotion."""

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.evaluation import gate_size


def too_small_a_gate(store: Store, dataset: ArtifactRef, config: Config) -> str:
    """What gate has and what it should have; empty where it has that."""
    return gate_size.too_small_a_gate(*_judged(store, dataset), config)


def gate_warning(store: Store, dataset: ArtifactRef, config: Config) -> str:
    """The same with what follows from it, for who has not begun yet."""
    return gate_size.gate_warning(*_judged(store, dataset), config)


def _judged(store: Store, dataset: ArtifactRef) -> tuple[pa.Table, pa.Table]:
    return store.table(dataset, "queries"), store.table(dataset, "qrels")
