"""Values of texts, shard by shard: an earlier version's where there are any, new ones else."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from strop.pipeline.reuse import Reuse, Split
from strop.tasks.earlier import one_piece
from strop.tasks.shards import Stage, in_shards
from strop.tasks.work import Work

TEXT, VALUE = "text", "value"
"""The columns that such work reads and makes."""


def renewed(
    stage: Stage, part: str, batches: Iterable[tuple[Any, Sequence[str]]], reuse: Reuse, work: Work
) -> Iterator[tuple[Any, pa.Array]]:
    """Ids and values of every batch of ids and texts, in order."""
    for (ids, split), made in in_shards(stage, part, _pieces(batches, reuse), work):
        yield ids, split.filled(None if made is None else one_piece(made[VALUE]))


def _pieces(
    batches: Iterable[tuple[Any, Sequence[str]]], reuse: Reuse
) -> Iterator[tuple[tuple[Any, Split], pa.Table | None]]:
    for ids, texts in batches:
        split = reuse.split(texts)
        rows = None if split.complete else pa.table({TEXT: pa.array(split.new, pa.string())})
        yield (ids, split), rows
