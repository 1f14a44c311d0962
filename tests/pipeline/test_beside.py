import numpy as np
import pyarrow as pa
import pytest

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.beside import Measured, beside

BASE = np.linspace(0.2, 0.8, 40)


def side(tables, name, gain, *, count=40, metric="nDCG@10"):
    rows = [
        tables.metric_rows(values[:count], ranking=ranking, split="test", metric=metric)
        for ranking, values in (
            ("first_stage", BASE),
            ("reranker", BASE - 0.1),
            ("fused", BASE + gain),
        )
    ]
    return Measured(name, pa.concat_tables(rows))


def run_side(tables, name, gain):
    return Measured(name, tables.metric_rows(BASE + gain, ranking="reranker", split="test"))


def put(*sides, metric=None):
    return beside(sides, split="test", metric=metric, seed=1, samples=500)


def test_every_ranking_is_held_against_the_first_of_its_kind(tables):
    rows = put(side(tables, "a:1", 0.0), side(tables, "b:2", 0.1))
    assert [(row.name, row.ranking) for row in rows] == [
        ("a:1", "reranker"), ("b:2", "reranker"), ("a:1", "fused"), ("b:2", "fused"),
    ]  # fmt: skip
    assert rows[0].difference is None
    assert rows[1].difference == 0
    assert rows[3].difference == pytest.approx(0.1)
    assert rows[3].p_value < 0.01
    assert rows[3].adjusted_p_value == pytest.approx(2 * rows[3].p_value)


def test_a_fresh_head_is_not_ranked_alone(tables):
    kinds = ("first_stage", "fused")
    rows = [tables.metric_rows(BASE, ranking=kind, split="test") for kind in kinds]
    fresh = Measured("a:0", pa.concat_tables(rows))
    ours = side(tables, "a:2", 0.1)
    # What it is held against is the first stage, which its fused ranking is.
    found = put(fresh, ours)
    assert [(row.name, row.ranking) for row in found] == [
        ("a:0", "fused"), ("a:2", "fused"), ("a:2", "reranker"),
    ]  # fmt: skip
    assert [row.difference for row in found] == [None, pytest.approx(0.1), pytest.approx(-0.1)]
    assert [(row.name, row.ranking) for row in put(ours, fresh)] == [
        ("a:2", "reranker"), ("a:2", "fused"), ("a:0", "fused"),
    ]  # fmt: skip


def test_runs_without_a_metric_or_queries_in_common_are_refused(tables):
    ours = side(tables, "a", 0.0)
    with pytest.raises(InputError, match="no metric in common"):
        put(ours, side(tables, "b", 0.0, metric="MAP"))
    with pytest.raises(InputError, match=r"metric 'R@3': was not .* all have nDCG@10"):
        put(ours, ours, metric="R@3")
    with pytest.raises(InputError, match="evaluated on different queries"):
        put(ours, side(tables, "b", 0.0, count=30))


def test_values_that_are_not_numbers_are_refused(tables):
    with pytest.raises(InputError, match="not a finite number; evaluate the rankings again"):
        put(side(tables, "a", 0.0), side(tables, "b", np.nan))


def test_a_run_from_outside_has_one_row_against_the_fused_ranking(tables):
    rows = put(side(tables, "a", 0.02), run_side(tables, "my.run", 0.1))
    assert [(row.name, row.ranking) for row in rows] == [
        ("a", "reranker"), ("a", "fused"), ("my.run", "run"),
    ]  # fmt: skip
    assert rows[2].difference == pytest.approx(0.08)
    assert rows[2].value == pytest.approx(0.6)
    assert rows[2].value_low < 0.59 < 0.61 < rows[2].value_high
    assert rows[2].adjusted_p_value == rows[2].p_value


def test_several_runs_are_all_held_against_the_first_side(tables):
    runs = [run_side(tables, name, gain) for name, gain in (("x", 0.1), ("y", 0.2))]
    rows = put(side(tables, "a", 0.0), *runs)
    assert [row.difference for row in rows[2:]] == pytest.approx([0.1, 0.2])
