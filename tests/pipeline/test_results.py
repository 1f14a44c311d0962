import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import OUTSIDE, RESULTS
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.results import (
    Outsider,
    metric_values,
    power_table,
    results_table,
    results_tables,
    smallest_gains,
)


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
    assert rows[-1]["adjusted_p_value"] == pytest.approx(6 * rows[-1]["p_value"])
    assert rows[0]["adjusted_p_value"] is None


def test_a_base_that_scored_nothing_has_no_rows(tables):
    first_stage = np.linspace(0.2, 0.8, 60)
    unscored = pa.concat_tables(
        [
            tables.metric_rows(first_stage, ranking=name, split="test")
            for name in ("first_stage", "fused")
        ]
    )
    rounds = {0: unscored, 1: round_rows(tables, 0.05)}
    rows = results_table(rounds, split="test", seed=1, samples=500).to_pylist()
    shown = [(row["round"], row["ranking"]) for row in rows]
    assert shown == [(0, "first_stage"), (1, "reranker"), (1, "fused")]
    assert rows[-1]["difference"] == pytest.approx(0.05)
    assert rows[-1]["adjusted_p_value"] == pytest.approx(2 * rows[-1]["p_value"])


def test_what_a_split_can_show_shrinks_with_its_queries(tables):
    def rows(count, split):
        noise = np.tile([-0.1, 0.1], count // 2)
        base = np.full(count, 0.5)
        return pa.concat_tables(
            [
                tables.metric_rows(base + noise, split=split),
                tables.metric_rows(base, ranking="first_stage", split=split),
            ]
        )

    splits = {"dev": rows(100, "dev"), "test": rows(400, "test")}
    one = {"gate": rows(2, "gate").filter([True, False] * 2)}
    table = power_table(splits | one, metric="nDCG@10", seed=1, samples=200)
    assert smallest_gains(table).keys() == {"dev", "test"}, "nothing shows in one query"
    found = table.to_pylist()[:2]
    # sd 0.1 over 100 queries: (1.960 + 0.842) · 0.1 / 10
    assert [row["split"] for row in found] == ["dev", "test"]
    assert found[0]["smallest_detectable"] == pytest.approx(0.028, abs=3e-4)
    assert found[1]["smallest_detectable"] == pytest.approx(0.014, abs=3e-4)


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


def test_rerankers_from_outside_are_held_against_the_same_first_stage(tables):
    rounds = {0: round_rows(tables, 0.0), 1: round_rows(tables, 0.05)}
    others = [Outsider("minilm", "off the shelf", round_rows(tables, 0.1))]
    results, outside = results_tables(rounds, others, split="test", seed=1, samples=500)
    assert outside.schema == OUTSIDE
    rows = outside.to_pylist()
    assert [(row["name"], row["role"], row["ranking"]) for row in rows] == [
        ("minilm", "off the shelf", "reranker"),
        ("minilm", "off the shelf", "fused"),
    ]
    assert [row["difference"] for row in rows] == pytest.approx([-0.1, 0.1])
    # Six comparisons of the two tables together, of which the fused one has the smallest p-value.
    assert rows[1]["adjusted_p_value"] == pytest.approx(6 * rows[1]["p_value"])
    alone = results_table(rounds, split="test", seed=1, samples=500)
    same = [name for name in RESULTS.names if name != "adjusted_p_value"]
    assert results.select(same).equals(alone.select(same))
