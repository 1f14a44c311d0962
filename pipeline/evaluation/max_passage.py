"""MaxP: a document scores like its best passage (Dai and Callan, SIGIR 2019)."""

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import RANKING
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.evaluation.ranking import encode, rank_within


def rank_documents(ranking: pa.Table, documents: DocumentMap) -> pa.Table:
    """A ranking of passages, not fused yet, as one of their documents.

    A document has the reranker's and the first stage's highest score of its passages. Its
    first-stage rank stays that of its best passage, so that ranks have gaps and depths still count
    the passages that are scored. Without documents the ranking stays as it is.
    """
    if not documents:
        return ranking
    scores = ranking["score"].to_numpy()
    _, pairs = np.unique(documents.pair_codes(ranking), return_inverse=True)
    highest = np.full(pairs.max(initial=-1) + 1, -np.inf, np.float32)
    known = ~np.isnan(scores)
    np.maximum.at(highest, pairs[known], scores[known])
    places = np.arange(ranking.num_rows, dtype=np.int64)
    order = np.lexsort((ranking["first_stage_rank"].to_numpy(), pairs))
    best = np.sort(places[order][np.diff(pairs[order], prepend=-1) != 0])
    rows, found = documents.named(ranking.take(pa.array(best))), highest[pairs[best]]
    codes, _ = encode(rows["query_id"])
    columns = {name: rows[name] for name in RANKING.names}
    columns["rank"] = pa.array(rank_within(codes, found, rows["first_stage_rank"].to_numpy()))
    columns["score"] = pa.array(found, mask=np.isneginf(found))
    return pa.table(columns).cast(RANKING)
