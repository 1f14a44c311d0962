import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import SLICES
from strop.pipeline.data.query_fields import field_table
from strop.pipeline.evaluation.field_slices import NO_VALUE
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.evaluation.slices import MISSED, query_facts, slices_table
from strop.pipeline.reporting.breakdown import worst_slices


@pytest.fixture
def world(tables):
    """q0: positive at rank 1; q1: at rank 3 of equal scores; q2: missed, and two positives."""
    found = tables.candidates(
        {q: ["a", "b", "c", "d"] for q in ("q0", "q1", "q2")},
        scores=[9, 1, 1, 1, 5, 5, 5, 5, 4, 3, 2, 1],
    )
    ranking = build_ranking(found, None, 4)
    judgements = tables.judgements({"q0": {"a": 1}, "q1": {"c": 1}, "q2": {"x": 1, "y": 2, "a": 0}})
    queries = tables.queries(["q2", "q0", "q1"])
    texts = pa.array(["five words are in this", "one", "two words"])
    queries = queries.set_column(queries.schema.get_field_index("text"), "text", texts)
    return ranking, queries, judgements


def test_facts_by_hand(world):
    facts = query_facts(*world)
    assert facts.query_ids == ("q0", "q1", "q2")
    assert facts.num_words.tolist() == [1, 2, 5]
    assert facts.num_positives.tolist() == [1, 1, 2]
    assert facts.rank.tolist() == [1, 3, 0]
    assert facts.difficulty[:2].tolist() == [0.0, 1.0]
    assert np.isnan(facts.difficulty[2])


def slices(tables, world, values, first_stage):
    per_query = pa.concat_tables(
        [
            tables.metric_rows(values, split="dev"),
            tables.metric_rows(first_stage, ranking="first_stage", split="dev"),
        ]
    )
    return slices_table(
        per_query, query_facts(*world), round_=1, split="dev", ranking="fused",
        metric="nDCG@10", seed=1, samples=200,
    )  # fmt: skip


def test_every_kind_of_slice_splits_all_queries(tables, world):
    table = slices(tables, world, [0.5, 1.0, 0.0], [1.0, 0.5, 0.0])
    assert table.schema == SLICES
    rows = table.to_pylist()
    kinds = ("query length", "positives", "first-stage rank", "difficulty")
    for by in kinds:
        assert sum(row["n"] for row in rows if row["by"] == by) == 3
    found = {(row["by"], row["slice"]): row["difference"] for row in rows}
    assert found == {
        ("query length", "1 words"): -0.5,
        ("query length", "2 words"): 0.5,
        ("query length", "5 words"): 0.0,
        ("positives", "1"): 0.0,
        ("positives", "2"): 0.0,
        ("first-stage rank", "1"): -0.5,
        ("first-stage rank", "2–5"): 0.5,
        ("first-stage rank", MISSED): 0.0,
        ("difficulty", "0% near the positive"): -0.5,
        ("difficulty", "100% near the positive"): 0.5,
        ("difficulty", MISSED): 0.0,
    }


def row(name, difference, n=30):
    return {
        "by": "query length", "slice": name, "n": n, "difference": difference,
        "ci_low": difference - 0.1, "ci_high": difference + 0.1,
    }  # fmt: skip


def test_the_worst_slices_are_named_with_count_and_interval():
    rows = [row("1 words", 0.2), row("2 words", -0.05), row("3 words", -0.3, n=4), row(MISSED, 0.0)]
    text = worst_slices(rows)
    assert "query length 2 words (n = 30): -0.050 [-0.150, +0.050]; query length 1 words" in text
    assert "3 words" not in text
    assert MISSED not in text
    assert worst_slices([row("1", 0.1, n=3)]) == "No slice has 10 queries."


def test_fields_of_the_queries_cut_slices(tables, world):
    ranking, queries, judgements = world
    fields = field_table({"q0": {"language": "de"}, "q1": {"language": "fr"}})
    facts = query_facts(ranking, queries, judgements, fields=fields)
    per_query = pa.concat_tables(
        [
            tables.metric_rows([0.5, 1.0, 0.0], split="dev"),
            tables.metric_rows([1.0, 0.5, 0.0], ranking="first_stage", split="dev"),
        ]
    )
    table = slices_table(
        per_query, facts, round_=1, split="dev", ranking="fused",
        metric="nDCG@10", seed=1, samples=200,
    )  # fmt: skip
    found = {
        row["slice"]: row["difference"] for row in table.to_pylist() if row["by"] == "language"
    }
    assert found == {"de": -0.5, "fr": 0.5, NO_VALUE: 0.0}


def test_a_slice_of_all_queries_is_none(tables, world):
    ranking, queries, _ = world
    judgements = tables.judgements({"q0": {"a": 1}, "q1": {"c": 1}})
    facts = query_facts(ranking, queries, judgements)
    per_query = pa.concat_tables(
        [
            tables.metric_rows([0.5, 1.0], split="dev"),
            tables.metric_rows([1.0, 0.5], ranking="first_stage", split="dev"),
        ]
    )
    table = slices_table(
        per_query, facts, round_=1, split="dev", ranking="fused",
        metric="nDCG@10", seed=1, samples=200,
    )  # fmt: skip
    assert "positives" not in table["by"].to_pylist()
    assert "query length" in table["by"].to_pylist()
