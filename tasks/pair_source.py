"""The cached tokens of some pairs, read from the store."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store

if TYPE_CHECKING:
    from strop.pipeline.scoring.scorer import PairSource


def pair_source(
    store: Store, tokens: ArtifactRef, query_ids: Any, passage_ids: Any
) -> "PairSource":
    """The tokens of these queries and passages; the rest of the corpus is not held in memory."""
    from strop.pipeline.scoring.scorer import PairSource
    from strop.pipeline.scoring.tokens import TokenTable

    found = [
        TokenTable.of(tables.iterate_batches(store.file(tokens, f"{name}.parquet")), pc.unique(ids))
        for name, ids in (("queries", query_ids), ("passages", passage_ids))
    ]
    return PairSource(*found)


def score_pairs(
    store: Store,
    reranker: ArtifactRef,
    tokens: ArtifactRef,
    pairs: pa.Table,
    *,
    config: Any,
    progress: Any,
) -> Any:
    """Score tables of the pairs (``query_id``, ``passage_id``), a shard each."""
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.scoring.scorer import Scorer

    source = pair_source(store, tokens, pairs["query_id"], pairs["passage_id"])
    loaded = load_reranker(store.folder(reranker), trust_remote_code=config.trust_remote_code)
    return Scorer(loaded, source, config).score(pairs, progress=progress)
