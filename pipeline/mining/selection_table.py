"""The table that a selection is kept as."""

from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import SELECTION
from strop.pipeline.mining.labels import Labels
from strop.pipeline.mining.rows import ORDER


def selection_table(rows: pa.Table, scores: Any, labels: Labels, added: pa.Table) -> pa.Table:
    """A ``selection`` table: the rows as labelled, and the rows of passages from elsewhere."""
    made = pa.table(
        {
            "query_id": rows["query_id"].cast(pa.string()),
            "passage_id": rows["passage_id"].cast(pa.string()),
            "rank": rows["rank"],
            "pool": rows["pool"].combine_chunks().dictionary_encode(),
            "first_stage_score": rows["first_stage_score"],
            "reranker_score": rows["reranker_score"],
            "teacher_score": rows["teacher_score"],
            "earlier_score": rows["earlier_score"],
            "mining_score": pa.array(scores.astype(np.float32), mask=np.isnan(scores)),
            "grade": rows["grade"],
            "decision": labels.decision.to_arrow(),
            "rule": labels.rule.to_arrow(),
            "sampler": labels.sampler.to_arrow(),
            "weight": labels.weight,
        },
        schema=SELECTION,
    )
    if not added.num_rows:
        return made
    joined = pa.concat_tables([made, added]).unify_dictionaries()
    return joined.sort_by(ORDER)
