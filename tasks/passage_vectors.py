"""The passages of an embeddings artifact, read in blocks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store

BLOCK_ROWS = 1 << 14


class PassageVectors:
    """Ids and vectors in corpus order, out of all shards."""

    def __init__(self, store: Store, embeddings: ArtifactRef) -> None:
        """Find the shards; nothing is read yet."""
        manifest = store.manifest(embeddings)
        names = sorted(name for name in manifest.files if name.startswith("passages-"))
        self._shards = [store.file(manifest, name) for name in names]
        self.width = int(manifest.summary["width"])

    def __len__(self) -> int:
        """The number of passages."""
        return sum(tables.count_rows(path) for path in self._shards)

    def ids(self) -> pa.Array:
        """All ids."""
        columns = [tables.read_table(path, columns=["id"])["id"] for path in self._shards]
        return pa.concat_arrays([chunk for column in columns for chunk in column.chunks])

    def blocks(self) -> Iterator[Any]:
        """The vectors anew, at most `BLOCK_ROWS` at a time: of small shards several together."""
        waiting: list[Any] = []
        for part in self._parts():
            if waiting and sum(map(len, waiting)) + len(part) > BLOCK_ROWS:
                yield _joined(waiting)
                waiting = []
            waiting.append(part)
        if waiting:
            yield _joined(waiting)

    def _parts(self) -> Iterator[Any]:
        from strop.pipeline.first_stage.vectors import vector_matrix

        for path in self._shards:
            for batch in tables.iterate_batches(path, rows=BLOCK_ROWS, columns=["vector"]):
                yield vector_matrix(batch)


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
