"""Vectors are read in blocks that no size of shards makes small, and none makes large."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts import tables
from strop.artifacts.manifest import Recipe
from strop.artifacts.store import Store
from strop.pipeline.first_stage.vectors import vector_column, vector_table
from strop.tasks import passage_vectors
from strop.tasks.passage_vectors import PassageVectors


@pytest.mark.parametrize(
    ("shards", "blocks"),
    [
        ([4, 4, 4, 4, 3], [8, 8, 3]),
        ([3, 3, 3, 3], [6, 6]),
        ([20, 2, 5], [8, 8, 6, 5]),
        ([5], [5]),
    ],
)
def test_small_shards_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: list[int], blocks: list[int]
) -> None:
    monkeypatch.setattr(passage_vectors, "BLOCK_ROWS", 8)
    store, vectors = Store(tmp_path / "store"), np.arange(2.0 * sum(shards), dtype=np.float32)
    vectors, first = vectors.reshape(-1, 2), 0
    with store.attempt(Recipe("embeddings", "test", 1, {}, {})) as attempt:
        for number, size in enumerate(shards):
            ids = pa.array([f"p{row}" for row in range(first, first + size)])
            table = vector_table(ids, vector_column(vectors[first : first + size]))
            path = attempt.folder / f"passages-{number:05d}.parquet"
            tables.write_table(path, table, table.schema)
            first += size
        made = store.commit(attempt, summary={"width": 2})
    found = list(PassageVectors(store, made.ref).blocks())
    assert [len(block) for block in found] == blocks
    np.testing.assert_array_equal(np.concatenate(found), vectors)
