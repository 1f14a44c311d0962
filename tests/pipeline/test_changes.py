import pyarrow as pa

from strop.artifacts.schemas import SELECTION
from strop.pipeline.mining.changes import selection_changes


def selection(*rows: tuple[str, str, float, str, str]) -> pa.Table:
    values = [
        {
            "query_id": query,
            "passage_id": passage,
            "mining_score": score,
            "decision": decision,
            "rule": rule,
            "sampler": "",
            "pool": "dense",
            "weight": 1.0,
        }
        for query, passage, score, decision, rule in rows
    ]
    return pa.Table.from_pylist(values, schema=SELECTION)


BEFORE = selection(
    ("q", "a", 3.0, "positive", "judged"),
    ("q", "b", 2.0, "negative", "sampled"),
    ("q", "c", 1.0, "negative", "sampled"),
    ("q", "d", 0.0, "skipped", "not_sampled"),
)


def test_rows_that_move_are_told_with_both_decisions_the_highest_score_first():
    after = selection(
        ("q", "a", 3.0, "positive", "judged"),
        ("q", "b", 2.0, "suspect", "margin"),
        ("q", "c", 1.0, "negative", "sampled"),
        ("q", "d", 0.0, "negative", "sampled"),
    )
    changes = selection_changes(BEFORE, after)
    moved = [(row["passage_id"], row["before"], row["after"]) for row in changes.moved.to_pylist()]
    assert moved == [
        ("b", "negative: sampled", "suspect: margin"),
        ("d", "skipped: not_sampled", "negative: sampled"),
    ]
    assert changes.before == {
        "negative: sampled": 2,
        "positive: judged": 1,
        "skipped: not_sampled": 1,
    }
    assert changes.after["suspect: margin"] == 1
    assert changes.kept_negatives == 0.5


def test_the_same_choice_changes_nothing():
    changes = selection_changes(BEFORE, BEFORE)
    assert changes.moved.num_rows == 0
    assert changes.kept_negatives == 1.0


def test_a_row_that_one_selection_lacks_is_absent_there():
    changes = selection_changes(BEFORE, BEFORE.slice(0, 3))
    assert changes.moved.to_pylist()[0]["after"] == "absent"
