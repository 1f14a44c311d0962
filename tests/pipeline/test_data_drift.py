"""What changed data make of a champion's negatives and queries; worked by hand."""

import pyarrow as pa

from strop.artifacts.schemas import NEGATIVES
from strop.pipeline.evaluation.data_drift import (
    dev_queries,
    drift_note,
    drift_summary,
    old_negatives,
)


def mined(**passages: str) -> pa.Table:
    """A letter a negative."""
    rows = [
        {
            "query_id": query,
            "positives": [],
            "negatives": [
                {"passage_id": letter, "sampler": "top", "weight": 1.0} for letter in letters
            ],
            "group_size": 4,
            "difficulty": 0.0,
            "weight": 1.0,
        }
        for query, letters in passages.items()
    ]
    return pa.Table.from_pylist(rows, schema=NEGATIVES)


def corpus(**texts: str) -> list[pa.Table]:
    return [
        pa.table({"passage_id": [name], "title": [""], "text": [text]})
        for name, text in texts.items()
    ]


def asked(**texts: str) -> pa.Table:
    return pa.table({"query_id": list(texts), "text": list(texts.values())})


def test_every_old_negative_is_the_same_changed_gone_or_without_its_query(tables) -> None:
    now = asked(q="why", s="new")
    found = old_negatives(
        mined(q="abc", r="a"), corpus(a="x", b="y", c="z"), corpus(a="x", b="other"), now
    )
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("q", "a", "same"),
        ("q", "b", "changed"),
        ("q", "c", "gone"),
        ("r", "a", "query gone"),
    ]
    per_query = tables.metric_rows([0.5, 1.0, 0.25])
    # q0 is known by its text under another id.
    before, today = asked(other="why"), asked(q0="why", q1="how", q2="who")
    queries = dev_queries(per_query, before, today, ranking="fused", metric="nDCG@10")
    assert queries["known"].to_pylist() == [True, False, False]
    summary = drift_summary(found, queries, "nDCG@10")
    assert summary == {
        "metric": "nDCG@10",
        "old_negatives": {"same": 1, "changed": 1, "gone": 1, "query gone": 1},
        "known_dev_queries": 1,
        "new_dev_queries": 2,
        "nDCG@10 on known queries": 0.5,
        "nDCG@10 on new queries": 0.625,
    }
    read_back = summary | {"old_negatives": dict(sorted(summary["old_negatives"].items()))}
    assert drift_note(read_back, "round 2 of docs") == drift_note(summary, "round 2 of docs")
    assert drift_note(summary, "round 2 of docs") == (
        "Of the 4 negatives of round 2 of docs: 1 as they were, 1 changed, 1 gone, 1 without their "
        "query. On today's dev queries round 2 of docs has nDCG@10 0.625 on 2 new and 0.500 on 1 "
        "known ones."
    )


def test_without_new_queries_or_negatives_it_says_so(tables) -> None:
    queries = dev_queries(
        tables.metric_rows([0.5]), asked(q0="a"), asked(q0="a"), ranking="fused", metric="nDCG@10"
    )
    summary = drift_summary(None, queries, "nDCG@10")
    assert drift_note(summary, "round 0 of x") == "No dev query is new to round 0 of x."


def test_a_mean_reads_as_in_the_table_of_results(tables) -> None:
    value = 0.52752  # of 0.5275, rounded once already, three digits are 0.527
    rows = tables.metric_rows([value])
    queries = dev_queries(rows, asked(q0="a"), asked(q0="b"), ranking="fused", metric="nDCG@10")
    assert "has nDCG@10 0.528 on 1 new" in drift_note(drift_summary(None, queries, "nDCG@10"), "x")
