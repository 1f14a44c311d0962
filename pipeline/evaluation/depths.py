"""Quality by depth: what a ranking would be worth, had fewer candidates been reranked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import CANDIDATES, DEPTHS
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.evaluation.fusion import fuse
from strop.pipeline.evaluation.max_passage import rank_documents
from strop.pipeline.evaluation.metrics import Judgements, per_query_metrics, summarise
from strop.pipeline.evaluation.ranking import build_ranking

SHOWN = ("first_stage", "reranker", "fused")


@dataclass(frozen=True)
class Ranked:
    """A ``ranking`` table and the fusion weight that made its fused order.

    Where documents are judged, the table is of the passages that they were cut into: a document's
    best passage may lie below the depth that is asked for.
    """

    table: pa.Table
    weight: float
    documents: DocumentMap = field(default_factory=DocumentMap.none)

    @property
    def has_scores(self) -> bool:
        """Whether a reranker has scored anything; of a fresh head nothing is."""
        return int(self.table["score"].null_count) < len(self.table)


def cut(ranked: Ranked, depth: int) -> pa.Table:
    """The ranking with the first ``depth`` candidates of the first stage reranked, from its scores.

    It is of documents where these are judged. The fusion weight stays; z-scores are taken over the
    candidates that are left. Without any scores it is the first stage's.
    """
    ranking = ranked.table
    within = pc.less_equal(ranking["first_stage_rank"], pa.scalar(depth, pa.int32()))
    scores = ranking.filter(within)["score"].to_numpy() if ranked.has_scores else None
    candidates = pa.table(
        {
            "query_id": ranking["query_id"],
            "passage_id": ranking["passage_id"],
            "rank": ranking["first_stage_rank"],
            "score": ranking["first_stage_score"],
            "source": pa.repeat("cut", len(ranking)),
            "split": ranking["split"],
        }
    ).cast(CANDIDATES)
    found = rank_documents(build_ranking(candidates, scores, depth), ranked.documents)
    return fuse(found, ranked.weight)


def depths_table(
    ranked_by_round: Mapping[int, Ranked],
    judgements: Judgements,
    *,
    depths: Sequence[int],
    metrics: Sequence[str],
    seed: int,
    samples: int,
) -> pa.Table:
    """``DEPTHS`` rows: every metric of every round at every depth, by the scores that there are.

    A positive that the first stage missed counts as a miss at every depth. The first stage is the
    same at all of them, and stands once a depth, as round 0.
    """
    rows = []
    for round_, ranked in sorted(ranked_by_round.items()):
        first = SHOWN[:1] if round_ == min(ranked_by_round) else ()
        kinds = (*first, *SHOWN[1:]) if ranked.has_scores else first
        for depth in depths if kinds else ():
            table = cut(ranked, depth)
            parts = [
                per_query_metrics(table, judgements, kind=kind, depth=depth, metrics=metrics)
                for kind in kinds
            ]
            per_query = pa.concat_tables(parts).unify_dictionaries()
            found = summarise(per_query, seed=seed, samples=samples).to_pylist()
            rows += [{"round": round_, **row} for row in found]
    return pa.Table.from_pylist(rows, schema=DEPTHS)
