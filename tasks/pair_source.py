"""The cached tokens of some pairs, read from the store, and the scores of such pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.schemas import SCORES, TOKENS
from strop.artifacts.store import Store
from strop.pipeline.config import Reranker
from strop.pipeline.encoded import encoded, indices
from strop.pipeline.progress import Progress
from strop.tasks.shards import Stage, in_shards
from strop.tasks.work import Models

if TYPE_CHECKING:
    from strop.pipeline.scoring.scorer import PairSource, Scorer
    from strop.pipeline.scoring.tokens import TokenTable


def pair_source(
    store: Store, tokens: ArtifactRef, query_ids: Any, passage_ids: Any
) -> "PairSource":
    """The tokens of these queries and passages; the rest of the corpus is not held in memory."""
    from strop.pipeline.scoring.scorer import PairSource
    from strop.pipeline.scoring.tokens import TokenTable

    found = [
        TokenTable.of(
            tables.iterate_batches(store.file(tokens, f"{name}.parquet")), encoded(ids).dictionary
        )
        for name, ids in (("queries", query_ids), ("passages", passage_ids))
    ]
    return PairSource(*found)


@dataclass(frozen=True)
class Scoring:
    """Makes the scores of pairs, given as their ids and tokens."""

    reranker: ArtifactRef
    config: Reranker

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        """A scores table; one shard's pairs are sorted by length together."""
        from strop.pipeline.scoring.scorer import PairSource, Scorer

        scorer: Scorer = models.get(
            ("scorer", self.reranker.id, repr(self.config)), lambda: self._load(store)
        )
        scorer.source = PairSource(_of_rows(rows, "query"), _of_rows(rows, "passage"))
        places = np.arange(rows.num_rows)
        scores = scorer.score_rows(places, places, progress=progress)
        return pa.table([rows["query_id"], rows["passage_id"], pa.array(scores)], schema=SCORES)

    def _load(self, store: Store) -> "Scorer":
        from strop.pipeline.scoring.reranker import load_reranker
        from strop.pipeline.scoring.scorer import Scorer

        folder, trusted = store.folder(self.reranker), self.config.trust_remote_code
        return Scorer(load_reranker(folder, trust_remote_code=trusted), None, self.config)


def score_pairs(
    stage: Stage, reranker: ArtifactRef, tokens: ArtifactRef, pairs: pa.Table, config: Reranker
) -> Iterator[pa.Table]:
    """Score tables of the pairs (``query_id``, ``passage_id``), a shard each."""
    source = pair_source(stage.store, tokens, pairs["query_id"], pairs["passage_id"])
    stage.progress.start(pairs.num_rows, "pairs")
    pieces = ((None, rows) for rows in _pieces(source, pairs, config.shard_pairs))
    for _, made in in_shards(stage, "pairs", pieces, Scoring(reranker, config)):
        assert made is not None
        yield made


def _pieces(source: "PairSource", pairs: pa.Table, size: int) -> Iterator[pa.Table]:
    """Pairs with their tokens, which are all that scoring them needs besides the reranker."""
    sides = {"query": source.queries, "passage": source.passages}
    ids = {name: encoded(pairs[f"{name}_id"]) for name in sides}
    rows = {name: table.rows(ids[name].dictionary) for name, table in sides.items()}
    for start in range(0, pairs.num_rows, size):
        columns: dict[str, Any] = {}
        for name, table in sides.items():
            piece = ids[name].slice(start, size)
            tokens = table.ragged.take(rows[name][indices(piece)])
            columns[f"{name}_id"] = piece.cast(pa.string())
            columns[f"{name}_tokens"] = tokens.to_arrow()
        yield pa.table(columns)


def _of_rows(rows: pa.Table, name: str) -> "TokenTable":
    from strop.pipeline.scoring.tokens import TokenTable

    return TokenTable(pa.table([rows[f"{name}_id"], rows[f"{name}_tokens"]], schema=TOKENS))
