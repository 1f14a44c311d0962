"""How well a model ranks dev while it is being trained."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.config import Config
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.evaluation.fusion import z_scores
from strop.pipeline.evaluation.max_passage import rank_documents
from strop.pipeline.evaluation.metrics import Judgements, judge, per_query_metrics
from strop.pipeline.evaluation.ranking import build_ranking, encode, within_depth
from strop.pipeline.scoring.reranker import LoadedReranker
from strop.pipeline.scoring.scorer import PairSource, Scorer


@dataclass(frozen=True)
class Development:
    """The candidates of dev's queries that are reranked, and what is relevant among them."""

    candidates: pa.Table
    judgements: Judgements
    documents: DocumentMap = field(default_factory=DocumentMap.none)

    @classmethod
    def of(
        cls,
        candidates: pa.Table,
        queries: pa.Table,
        qrels: pa.Table,
        *,
        depth: int,
        documents: DocumentMap | None = None,
    ) -> "Development":
        """Dev's part of the tables; raises `InputError` when dev has no judged query."""
        dev = candidates.filter(pc.equal(candidates["split"].cast(pa.string()), "dev"))
        known = documents or DocumentMap.none()
        return cls(within_depth(dev, depth), judge(qrels, queries, split="dev"), known)

    def measure(self, reranker: LoadedReranker, source: PairSource, config: Config) -> float:
        """The mean of the first metric; leaves the model in eval mode.

        The reranker ranks alone, or with what it was trained to correct: with a residual objective
        its own scores rank by design what the first stage leaves open.
        """
        depth, metric = config.evaluation.depth, config.evaluation.metrics[0]
        shards = Scorer(reranker, source, config.reranker).score(self.candidates)
        scores = pa.concat_tables(shards)["score"].to_numpy()
        if config.training.residual_weight:
            codes, _ = encode(self.candidates["query_id"])
            prior = z_scores(codes, self.candidates["score"].to_numpy())
            scores = scores + config.training.residual_weight * prior
        ranking = rank_documents(build_ranking(self.candidates, scores, depth), self.documents)
        values = per_query_metrics(
            ranking,
            self.judgements,
            kind="reranker",
            depth=depth,
            metrics=[metric],
        )
        return float(values["value"].to_numpy().mean())
