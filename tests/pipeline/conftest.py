"""Fixtures that the tests of the pipeline share."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import CANDIDATES, METRICS_PER_QUERY, QRELS, QUERIES
from strop.pipeline.evaluation.metrics import Judgements, judge


class EvaluationTables:
    """Small candidate, qrel and query tables that a test can write on a few lines."""

    @staticmethod
    def candidates(
        passages: Mapping[str, Sequence[str]], *, split: str = "dev", scores: Sequence[float] = ()
    ) -> pa.Table:
        """Each query's candidates in first-stage order, with scores 10, 9, 8, … unless given."""
        rows = [
            {
                "query_id": query_id,
                "passage_id": passage_id,
                "rank": rank,
                "score": 11.0 - rank,
                "source": "dense",
                "split": split,
            }
            for query_id, ids in passages.items()
            for rank, passage_id in enumerate(ids, start=1)
        ]
        for row, score in zip(rows, scores, strict=False):
            row["score"] = score
        return pa.Table.from_pylist(rows, schema=CANDIDATES)

    @staticmethod
    def qrels(grades: Mapping[str, Mapping[str, int]], *, split: str = "dev") -> pa.Table:
        rows = [
            {"query_id": query_id, "passage_id": passage_id, "grade": grade, "split": split}
            for query_id, by_passage in grades.items()
            for passage_id, grade in by_passage.items()
        ]
        return pa.Table.from_pylist(rows, schema=QRELS)

    @staticmethod
    def queries(
        query_ids: Sequence[str], *, split: str = "dev", groups: Sequence[str] | None = None
    ) -> pa.Table:
        rows = [
            {"query_id": q, "text": q, "split": split, "weight": 1.0, "group_id": g}
            for q, g in zip(query_ids, groups or query_ids, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=QUERIES)

    @staticmethod
    def judgements(grades: Mapping[str, Mapping[str, int]], *, split: str = "dev") -> Judgements:
        return judge(
            EvaluationTables.qrels(grades, split=split),
            EvaluationTables.queries(list(grades), split=split),
            split=split,
        )

    @staticmethod
    def metric_rows(
        values: Sequence[float],
        *,
        ranking: str = "fused",
        split: str = "dev",
        metric: str = "nDCG@10",
        groups: Sequence[str] | None = None,
    ) -> pa.Table:
        """Per-query rows of one metric for queries q0, q1, …"""
        ids = [f"q{i}" for i in range(len(values))]
        columns = {
            "query_id": ids,
            "group_id": list(groups or ids),
            "split": [split] * len(ids),
            "ranking": [ranking] * len(ids),
            "depth": np.full(len(ids), 30, np.int32),
            "metric": [metric] * len(ids),
            "value": np.asarray(values, float),
        }
        return pa.table(columns).cast(METRICS_PER_QUERY)


@pytest.fixture
def tables() -> type[EvaluationTables]:
    return EvaluationTables
