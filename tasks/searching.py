"""The nearest passages of queries, found here or by the workers of a cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import VectorIndex
from strop.pipeline.progress import Progress
from strop.tasks.passage_vectors import PassageVectors
from strop.tasks.shards import Stage, in_shards
from strop.tasks.work import Models

if TYPE_CHECKING:
    from strop.pipeline.first_stage.index import Search

Found = Iterator[tuple[int, Any, Any]]
"""Blocks of (first query, scores, rows)."""
SHARD_QUERIES = 1 << 12
"""Queries that a worker looks for in one pass over the passages, in whole blocks of a search."""


@dataclass(frozen=True)
class Searching:
    """Finds the ``depth`` passages nearest to every query, by an index or by looking at all."""

    embeddings: ArtifactRef
    depth: int
    index: ArtifactRef | None = None
    config: VectorIndex | None = None

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        """Scores and rows of passages, ``depth`` of each query."""
        from strop.pipeline.first_stage.vectors import vector_column, vector_matrix

        found = list(self.found(store, vector_matrix(rows), models, progress))
        scores = np.concatenate([scores for _, scores, _ in found])
        numbers = pa.array(np.concatenate([rows for _, _, rows in found]).reshape(-1))
        rows_column = pa.FixedSizeListArray.from_arrays(numbers, scores.shape[1])
        return pa.table({"vector": vector_column(scores), "rows": rows_column})

    def found(self, store: Store, queries: Any, models: Models, progress: Progress) -> Found:
        """What is found for the queries, matrices of (1024, depth) at a time."""
        from strop.pipeline.first_stage import exact_search

        if self.index is not None:
            return self.search(store, models).nearest(queries, progress)
        return exact_search.nearest(self._blocks(store, models), queries, self.depth, progress)

    def search(self, store: Store, models: Models) -> "Search":
        """The search by the index."""
        from strop.pipeline.first_stage.index import Search, read_index

        index, config = self.index, self.config
        assert index is not None
        assert config is not None
        names = sorted(name for name in store.manifest(index).files if name.endswith(".faiss"))
        read = models.get(
            ("index", index.id), lambda: [read_index(store.file(index, name)) for name in names]
        )
        return Search(read, self._blocks(store, models), self.depth, config)

    def _blocks(self, store: Store, models: Models) -> Any:
        key = ("vectors", self.embeddings.id)
        return models.get(key, lambda: PassageVectors(store, self.embeddings)).blocks


def search(stage: Stage, work: Searching, queries: Any) -> Found:
    """Blocks of (first query, scores, rows) for all queries, in order."""
    from strop.pipeline.first_stage.exact_search import in_blocks, passes
    from strop.pipeline.first_stage.index import scored
    from strop.pipeline.first_stage.vectors import vector_column, vector_matrix

    if not stage.spread:
        yield from work.found(stage.store, queries, stage.models, stage.progress)
        return
    stage.progress.start(len(queries), "queries")
    width = scored(work.depth, work.config) if work.config else work.depth
    pieces = (
        (start, pa.table({"vector": vector_column(queries[start:end])}))
        for start, end in passes(len(queries), width, SHARD_QUERIES)
    )
    for start, made in in_shards(stage, "queries", pieces, work):
        assert made is not None
        rows = made["rows"].combine_chunks().flatten().to_numpy()
        scores = vector_matrix(made)
        yield from in_blocks(start, scores, rows.reshape(scores.shape))
