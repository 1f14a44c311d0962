from typing import Any

import pyarrow as pa
import pytest

from strop.artifacts.schemas import GROUP_SIZES, NEGATIVES, QUERIES, SELECTION, SUSPECTS
from strop.pipeline.mining.negatives import mining_summary, negatives, suspects

QUERY_TABLE = pa.Table.from_pylist(
    [
        {"query_id": q, "text": q, "split": "train", "weight": weight, "group_id": q}
        for q, weight in (("r", 0.5), ("q", 2.0), ("s", 1.0))
    ],
    schema=QUERIES,
)
RULES = {"positive": "judged", "suspect": "margin", "relabelled": "margin", "negative": "sampled"}


def sizes(group_size: int) -> pa.Table:
    """Groups of one size for all queries, whose difficulties differ."""
    rows = [
        {"query_id": q, "difficulty": difficulty, "group_size": group_size}
        for q, difficulty in (("q", 0.25), ("r", 0.5), ("s", 1.0))
    ]
    return pa.Table.from_pylist(rows, schema=GROUP_SIZES)


def selection(
    *rows: tuple[str, str, int | None, float | None, str], **more: dict[str, Any]
) -> pa.Table:
    """Query, passage, rank, score and decision; ``more`` are other columns by passage."""
    records = [
        {
            "query_id": query,
            "passage_id": passage,
            "rank": rank,
            "pool": "first_stage",
            "first_stage_score": score,
            "mining_score": score,
            "grade": 1 if decision == "positive" else None,
            "decision": decision,
            "rule": RULES.get(decision, "not_sampled"),
            "sampler": "top" if decision == "negative" else "",
            "weight": 1.0,
            **{name: values[passage] for name, values in more.items() if passage in values},
        }
        for query, passage, rank, score, decision in rows
    ]
    return pa.Table.from_pylist(records, schema=SELECTION)


def negative(passage: str, score: float | None, rank: int | None, **more: Any) -> dict[str, Any]:
    """A negative as it should be listed."""
    plain = {"sampler": "top", "hardness": None, "weight": 1.0}
    models = {"first_stage_score": score, "teacher_score": None}
    return {"passage_id": passage, "score": score, "rank": rank, **plain, **models, **more}


MINED = selection(
    ("q", "a", 1, 0.5, "negative"),
    ("q", "b", 2, 2.0, "positive"),
    ("q", "c", 3, 1.5, "negative"),
    ("q", "d", None, 4.0, "positive"),
    ("q", "e", 4, 5.0, "suspect"),
    ("q", "f", 5, None, "negative"),
    ("r", "a", 1, -1.0, "negative"),
    ("r", "b", 2, -3.0, "positive"),
    ("r", "c", 3, -4.0, "skipped"),
    ("s", "b", 1, 3.0, "positive"),
    ("s", "c", 2, 9.0, "suspect"),
)


def positive(passage: str, grade: int, score: float) -> dict[str, Any]:
    """A positive as it should be listed."""
    models = {"first_stage_score": score, "teacher_score": None}
    return {"passage_id": passage, "grade": grade, **models}


def test_one_row_a_query_with_the_hardest_negative_first() -> None:
    table = negatives(MINED, sizes(4), QUERY_TABLE)
    assert table.schema == NEGATIVES
    # The positives' mean is 3; what was not scored comes last. s has no negative and no row.
    assert table.to_pylist() == [
        {
            "query_id": "q",
            "positives": [positive("b", 1, 2.0), positive("d", 1, 4.0)],
            "negatives": [
                negative("c", 1.5, 3, hardness=-1.5),
                negative("a", 0.5, 1, hardness=-2.5),
                negative("f", None, 5),
            ],
            "group_size": 4,
            "difficulty": 0.25,
            "weight": 2.0,
        },
        {
            "query_id": "r",
            "positives": [positive("b", 1, -3.0)],
            "negatives": [negative("a", -1.0, 1, hardness=2.0)],
            "group_size": 2,
            "difficulty": 0.5,
            "weight": 0.5,
        },
    ]


def test_grades_weights_and_scores_of_models_reach_training() -> None:
    table = selection(
        ("q", "a", 1, 5.0, "negative"),
        ("q", "b", 2, 3.0, "positive"),
        teacher_score={"a": -7.0, "b": 8.0},
        weight={"a": 0.25},
        grade={"b": 3},
    )
    (row,) = negatives(table, sizes(2), QUERY_TABLE).to_pylist()
    assert row["positives"] == [{**positive("b", 3, 3.0), "teacher_score": 8.0}]
    expected = negative("a", 5.0, 1, hardness=2.0, weight=0.25, teacher_score=-7.0)
    assert row["negatives"] == [expected]


def test_relabelled_suspects_are_positives_that_hardness_is_not_measured_from() -> None:
    table = selection(
        ("q", "a", 1, 9.0, "relabelled"),
        ("q", "b", 2, 3.0, "positive"),
        ("q", "c", 3, 2.0, "negative"),
        grade={"b": 2},
    )
    (row,) = negatives(table, sizes(2), QUERY_TABLE).to_pylist()
    assert row["positives"] == [positive("a", 1, 9.0), positive("b", 2, 3.0)]
    assert row["negatives"] == [negative("c", 2.0, 3, hardness=-1.0)]
    assert row["group_size"] == 2


def test_suspects_stand_beside_the_mean_of_their_positives() -> None:
    table = suspects(MINED)
    assert table.schema == SUSPECTS
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("q", "e", 5.0, 5.0, 3.0, "margin", "suspect"),
        ("s", "c", 9.0, 9.0, 3.0, "margin", "suspect"),
    ]


def test_suspects_tell_what_became_of_them() -> None:
    table = selection(
        ("q", "a", 1, 9.0, "relabelled"),
        ("q", "b", 2, 3.0, "positive"),
        ("q", "c", 3, 4.0, "negative"),
        ("q", "d", 4, 3.5, "suspect"),
        ("q", "e", 5, 2.0, "negative"),
        rule={"c": "margin by reranker"},
    )
    found = [(row["passage_id"], row["decision"]) for row in suspects(table).to_pylist()]
    assert found == [("a", "relabelled"), ("c", "negative"), ("d", "suspect")]
    assert mining_summary(table, sizes(3).slice(0, 1))["suspects"] == 3


def test_the_summary_counts_every_row_and_the_queries_that_fall_short() -> None:
    assert mining_summary(MINED, sizes(4)) == {
        "queries": 3,
        "negatives": 4,
        "suspects": 2,
        "queries_with_fewer_negatives": 2,
        "queries_without_negatives": 1,
        "rows": {
            "negative: sampled": 4,
            "positive: judged": 4,
            "skipped: not_sampled": 1,
            "suspect: margin": 2,
        },
    }


@pytest.mark.parametrize("decision", ["suspect", "skipped"])
def test_a_round_without_any_negative_gives_empty_tables(decision: str) -> None:
    table = selection(("q", "a", 1, 3.0, decision), ("q", "b", 2, 2.0, "positive"))
    assert negatives(table, sizes(2), QUERY_TABLE).num_rows == 0
    assert suspects(table).num_rows == (decision == "suspect")
    assert mining_summary(table, sizes(2))["queries_without_negatives"] == 1


def test_tables_in_chunks_with_dictionaries_of_their_own() -> None:
    chunks = [MINED.slice(start, 3) for start in range(0, MINED.num_rows, 3)]
    rebuilt = [pa.Table.from_pylist(chunk.to_pylist(), schema=SELECTION) for chunk in chunks]
    chunked, wanted = pa.concat_tables(rebuilt), sizes(3)
    listed = negatives(chunked, wanted, QUERY_TABLE)
    assert listed.to_pylist() == negatives(MINED, wanted, QUERY_TABLE).to_pylist()
    assert suspects(chunked).to_pylist() == suspects(MINED).to_pylist()
    assert mining_summary(chunked, wanted) == mining_summary(MINED, wanted)
