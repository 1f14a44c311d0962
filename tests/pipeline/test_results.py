import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import RESULTS
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.results import metric_values, results_table


def round_rows(tables, gain: float, *, split: str = "test") -> pa.Table:
    first_stage = np.linspace(0.2, 0.8, 60)
    return pa.concat_tables(
        [
            tables.metric_rows(first_stage + gain, split=split),
            tables.metric_rows(first_stage - 0.1, ranking="reranker", split=split),
            tables.metric_rows(first_stage, ranking="first_stage", split=split),
        ]
    )


def test_every_round_is_compared_with_the_first_stage(tables):
    rounds = {0: round_rows(tables, 0.0), 1: round_rows(tables, 0.05), 2: round_rows(tables, 0.1)}
    results = results_table(rounds, split="test", seed=1, samples=500)
    assert results.schema == RESULTS
    rows = results.to_pylist()
    assert [(row["round"], row["ranking"]) for row in rows] == [
        (0, "first_stage"),
        (0, "reranker"),
        (0, "fused"),
        (1, "reranker"),
        (1, "fused"),
        (2, "reranker"),
        (2, "fused"),
    ]
    assert rows[0]["difference"] is None
    assert rows[0]["value"] == pytest.approx(0.5)
    assert [row["difference"] for row in rows[1:]] == pytest.approx(
        [-0.1, 0, -0.1, 0.05, -0.1, 0.1]
    )
    assert rows[-1]["difference_ci_low"] == pytest.approx(0.1)
    assert rows[-1]["p_value"] < 0.01
    assert rows[2]["p_value"] == 1.0


def test_only_the_asked_split_counts(tables):
    both = pa.concat_tables([round_rows(tables, 0.1), round_rows(tables, 0.2, split="dev")])
    results = results_table({0: both}, split="dev", seed=1, samples=100)
    assert set(results["split"].to_pylist()) == {"dev"}
    assert results["difference"].to_pylist()[2] == pytest.approx(0.2)


def test_two_values_of_a_query_are_refused(tables):
    rows = tables.metric_rows([0.1, 0.2])
    with pytest.raises(InputError, match="several values a query"):
        metric_values(
            pa.concat_tables([rows, rows]), split="dev", ranking="fused", metric="nDCG@10"
        )
