from typing import Any

import pyarrow as pa
import pytest

from strop.artifacts.schemas import CURRICULUM, GROUP_SIZES, QUERIES, SELECTION, TRAIN_LOG
from strop.pipeline.mining.negatives import negatives
from strop.pipeline.mining.round_table import describe_round

RULES = {"positive": "judged", "suspect": "margin by reranker", "negative": "sampled"}


def selection(*rows: tuple[str, str, float | None, str]) -> pa.Table:
    """Query, passage, mining score and decision."""
    records = [
        {
            "query_id": query,
            "passage_id": passage,
            "pool": "first_stage",
            "mining_score": score,
            "grade": 1 if decision == "positive" else None,
            "decision": decision,
            "rule": RULES.get(decision, "not_sampled"),
            "sampler": "",
            "weight": 1.0,
        }
        for query, passage, score, decision in rows
    ]
    return pa.Table.from_pylist(records, schema=SELECTION)


def sizes(**difficulty: float) -> pa.Table:
    rows = [
        {"query_id": query, "difficulty": value, "group_size": 4}
        for query, value in difficulty.items()
    ]
    return pa.Table.from_pylist(rows, schema=GROUP_SIZES)


def listed(chosen: pa.Table, wanted: pa.Table) -> pa.Table:
    rows = [
        {"query_id": q, "text": q, "split": "train", "weight": 1.0, "group_id": q}
        for q in wanted["query_id"].to_pylist()
    ]
    return negatives(chosen, wanted, pa.Table.from_pylist(rows, schema=QUERIES))


def log(violations: list[float]) -> pa.Table:
    """Steps of 2 groups, 8 pairs and 100 tokens each."""
    rows = [
        {
            "step": step,
            "epoch": 0.5,
            "groups": 2,
            "pairs": 8,
            "tokens": 100,
            "loss": 1.0,
            "gradient_norm": 1.0,
            "learning_rate": 1.0,
            "score_spread": 1.0,
            "violation_share": share,
        }
        for step, share in enumerate(violations, 1)
    ]
    return pa.Table.from_pylist(rows, schema=TRAIN_LOG)


def described(
    chosen: pa.Table,
    wanted: pa.Table,
    *,
    last: pa.Table | None = None,
    violations: list[float] | None = None,
) -> dict[str, Any]:
    made = describe_round(
        2, 0.5, 4, chosen, wanted, listed(chosen, wanted), last, log(violations or [])
    )
    assert made.schema == CURRICULUM
    (row,) = made.to_pylist()
    return dict(row)


# q's pool of six by score is b c | d e | f g, the thirds hard, medium and easy; r's is b d | c,
# where c was not scored; s has no negative.
CHOSEN = selection(
    ("q", "a", 5.0, "positive"),
    ("q", "b", 9.0, "suspect"),
    ("q", "c", 4.0, "negative"),
    ("q", "d", 3.0, "negative"),
    ("q", "e", 2.0, "skipped"),
    ("q", "f", 1.0, "negative"),
    ("q", "g", 0.0, "skipped"),
    ("r", "a", 5.0, "positive"),
    ("r", "b", 4.0, "negative"),
    ("r", "c", None, "negative"),
    ("r", "d", 1.0, "skipped"),
    ("s", "a", 5.0, "positive"),
    ("s", "b", 9.0, "suspect"),
)
SIZES = sizes(q=0.5, r=0.25, s=0.0)


def test_a_round_by_hand() -> None:
    violations = [0.5, 0.25, *[0.125] * 17, 0.0]
    assert described(CHOSEN, SIZES, violations=violations) == {
        "round": 2,
        "groups": 40,
        "pairs": 160,
        "tokens": 2000,
        "mean_group_size": 3.5,  # q has 4 members and r 3
        "mean_difficulty": 0.25,
        "hardness": 0.5,
        "hard_share": pytest.approx(0.4),  # q's c and r's b
        "medium_share": pytest.approx(0.2),  # q's d
        "easy_share": pytest.approx(0.4),  # q's f and r's c
        "new_share": None,
        "suspects": 2,
        "suspects_by_rule": [("margin by reranker", 2)],
        "unfilled_slots": 4,  # three groups of four have nine negatives; five were found
        "violation_before": 0.375,  # a tenth of the 20 steps are 2
        "violation_after": 0.0625,
    }


def test_new_negatives_are_pairs_that_the_last_round_did_not_have() -> None:
    last = selection(
        ("q", "a", 5.0, "positive"),
        ("q", "c", 4.0, "negative"),
        ("q", "e", 2.0, "negative"),
        ("s", "b", 2.0, "negative"),
        ("r", "d", 2.0, "negative"),
    )
    # Of c d f of q and b c of r, c of q is known.
    row = described(CHOSEN, SIZES, last=listed(last, SIZES))
    assert row["new_share"] == pytest.approx(0.8)
    assert described(CHOSEN, SIZES, last=listed(CHOSEN, SIZES))["new_share"] == 0.0


def test_suspects_that_were_used_are_counted_by_their_rule_too() -> None:
    table = selection(
        ("q", "a", 5.0, "positive"), ("q", "b", 9.0, "suspect"), ("q", "c", 8.0, "relabelled")
    )
    row = described(table, sizes(q=0.5))
    assert row["suspects_by_rule"] == [("margin by reranker", 1), ("not_sampled", 1)]


def test_a_round_without_negatives_has_a_row_of_zeros() -> None:
    table = selection(("q", "a", 5.0, "positive"), ("q", "b", 9.0, "suspect"))
    row = described(table, sizes(q=0.5), last=listed(CHOSEN, SIZES))
    zeros = ("mean_group_size", "hard_share", "easy_share", "violation_before", "tokens")
    assert [row[name] for name in zeros] == [0] * 5
    assert row["unfilled_slots"] == 3
