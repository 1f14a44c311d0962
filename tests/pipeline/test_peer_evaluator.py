from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

from strop.pipeline.config import Reranker
from strop.pipeline.evaluation.metrics import per_query_metrics
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from tests.world import WORDS, pair_source

DEPTH = 14
METRICS = ["AP", "RR@10", "nDCG@10"]
LABELS = {"map": "MAP", "mrr@10": "MRR@10", "ndcg@10": "nDCG@10"}
"""Our name of each of the evaluator's metrics."""


def sentences(count: int, length: int, seed: int) -> list[str]:
    """Distinct texts, so that no two candidates of a query tie."""
    random = np.random.default_rng(seed)
    return [f"{i} {' '.join(random.choice(WORDS, length))}" for i in range(count)]


def test_metrics_agree_with_the_evaluator_of_sentence_transformers(
    reranker_folder: Path, tables
) -> None:
    """One positive a query, of which the first stage missed some; no ties."""
    queries = {f"q{i}": text for i, text in enumerate(sentences(12, 5, 1))}
    passages = {f"p{i}": text for i, text in enumerate(sentences(40, 12, 2))}
    random = np.random.default_rng(3)
    found = {query: list(random.choice(list(passages), DEPTH, replace=False)) for query in queries}
    positives = {query: random.choice(list(passages)) for query in queries}
    hits = [positives[query] in found[query] for query in queries]
    assert 0 < sum(hits) < len(hits)

    candidates = tables.candidates(found)
    source = pair_source(load_reranker(reranker_folder).tokenizer, queries, passages)
    scorer = Scorer(load_reranker(reranker_folder), source, Reranker(max_tokens=64))
    pairs = candidates.select(["query_id", "passage_id"])
    scores = pa.concat_tables(list(scorer.score(pairs)))["score"].to_numpy()
    judged = tables.judgements({query: {positives[query]: 1} for query in queries})
    ranking = build_ranking(candidates, scores, DEPTH)
    rows = per_query_metrics(ranking, judged, kind="reranker", depth=DEPTH, metrics=METRICS)
    ours = rows.group_by("metric").aggregate([("value", "mean")]).to_pylist()

    samples = [
        {
            "query": queries[query],
            "positive": [passages[positives[query]]],
            "documents": [passages[passage] for passage in found[query]],
        }
        for query in queries
    ]
    evaluator = CrossEncoderRerankingEvaluator(
        samples, at_k=10, always_rerank_positives=False, write_csv=False
    )
    theirs = evaluator(CrossEncoder(str(reranker_folder), max_length=64))
    values = {row["metric"]: row["value_mean"] for row in ours}
    for name, label in LABELS.items():
        assert values[label] == pytest.approx(theirs[name], abs=1e-6), name
    assert 0.1 < values["nDCG@10"] < 0.9
