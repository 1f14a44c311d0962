from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import NEGATIVES, QRELS, QUERIES
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.mining.cross_fitting import (
    ENOUGH_QUERIES,
    QueryPlan,
    plan_queries,
    train_queries,
    without,
)


def queries(count: int) -> pa.Table:
    """Train queries q000, q001 and so on, and three dev queries."""
    rows = [
        {"query_id": f"q{i:03}", "text": "t", "split": split, "weight": 1.0, "group_id": f"q{i}"}
        for i, split in enumerate(["train"] * count + ["dev"] * 3)
    ]
    return pa.Table.from_pylist(rows, schema=QUERIES)


def qrels(*rows: tuple[str, str, int]) -> pa.Table:
    records = [
        {"query_id": query, "passage_id": passage, "grade": grade, "split": "train"}
        for query, passage, grade in rows
    ]
    return pa.Table.from_pylist(records, schema=QRELS)


def plan(
    count: int,
    *,
    rounds: int = 3,
    seed: int = 1,
    start: str = "last_round",
    training: dict[str, Any] | None = None,
    **mining: Any,
) -> QueryPlan:
    judged = qrels(*[(f"q{i:03}", "p", 1) for i in range(count + 3)])
    values = {"rounds": rounds, "seed": seed, "training": training or {"start": start}}
    values["mining"] = {"miner": "last_round", **mining}
    return plan_queries(queries(count), judged, Config.model_validate(values))


def rounds_of(made: QueryPlan, count: int) -> list[list[str]]:
    return [made.of_round(number).to_pylist() for number in range(1, count + 1)]


def test_queries_of_other_splits_or_without_a_positive_are_not_mined() -> None:
    judged = qrels(("q000", "p", 0), ("q001", "p", 1), ("q001", "o", 2), ("q010", "p", 1))
    assert train_queries(queries(10), judged).to_pylist() == ["q001"]


def test_without_cross_fitting_every_round_takes_the_same_queries() -> None:
    everything = rounds_of(plan(10, cross_fit=False), 3)
    assert sorted(everything[0]) == [f"q{i:03}" for i in range(10)]
    assert everything[0] == everything[1] == everything[2]
    limited = rounds_of(plan(10, cross_fit=False, queries_per_round=4), 3)
    assert limited == [everything[0][:4]] * 3


@pytest.mark.parametrize("rounds", [2, 3])
def test_a_single_query_cannot_take_turns(rounds: int) -> None:
    with pytest.raises(InputError, match=r"of which 1 has a positive; expected 2 at least, or min"):
        plan(1, rounds=rounds)
    assert rounds_of(plan(2, rounds=2), 2) in ([["q000"], ["q001"]], [["q001"], ["q000"]])
    assert rounds_of(plan(1, rounds=rounds, cross_fit=False), 2) == [["q000"], ["q000"]]


def test_fresh_rounds_share_no_query_while_there_are_enough() -> None:
    made = plan(13, rounds=3, queries_per_round=4)
    assert (made.strategy, made.limit) == ("fresh", 4)
    first, second, third = rounds_of(made, 3)
    assert len({*first, *second, *third}) == 12


def test_without_a_limit_fresh_rounds_divide_the_queries_among_themselves() -> None:
    made = plan(3 * ENOUGH_QUERIES + 1, rounds=3)
    assert (made.strategy, made.limit) == ("fresh", ENOUGH_QUERIES)
    assert len(set().union(*rounds_of(made, 3))) == 3 * ENOUGH_QUERIES
    assert plan(3 * ENOUGH_QUERIES - 1, rounds=3).strategy == "folds"


def test_a_round_beyond_the_last_starts_again() -> None:
    first, second, third, fourth = rounds_of(plan(12, rounds=3, queries_per_round=4), 4)
    assert fourth == first
    assert len({*first, *second, *third}) == 12


def test_a_single_round_takes_all_queries_however_few() -> None:
    made = plan(5, rounds=1)
    assert (made.strategy, made.limit) == ("fresh", 5)


@pytest.mark.parametrize("values", [{"rounds": 2}, {"rounds": 4, "start": "base"}])
def test_halves_take_turns_where_a_miner_has_trained_on_one_round_only(
    values: dict[str, Any],
) -> None:
    made = plan(11, **values)
    assert (made.strategy, made.limit) == ("halves", 5)
    found = rounds_of(made, 4)
    assert [len(set(ids)) for ids in found] == [5] * 4
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert not set(found[0]) & set(found[1])


def test_after_a_rejected_round_a_half_is_mined_by_who_trained_on_the_other() -> None:
    made = plan(11, rounds=5, start="base")
    assert [made.miner_of(number, [1, 2, 3, 4]) for number in (1, 2, 3, 4, 5)] == [0, 1, 2, 3, 4]
    # Round 2 was rejected: rounds 1 and 3 have the same half, so nobody tuned may mine the third.
    assert made.miner_of(3, [1]) == 0
    assert made.miner_of(4, [1, 3]) == 3
    assert made.miner_of(5, [1, 2]) == 2
    fresh = plan(12, rounds=3, queries_per_round=4)
    assert [fresh.miner_of(3, [1]), fresh.miner_of(3, [])] == [1, 0]


def test_who_replays_earlier_rounds_has_trained_on_both_halves() -> None:
    training = {"start": "base", "replay_share": 0.25}
    assert plan(11, rounds=4, training=training).strategy == "folds"
    assert plan(11, rounds=2, training=training).strategy == "halves"


def test_halves_keep_a_limit_that_is_smaller_still() -> None:
    # Two rounds of 8 need 16 fresh queries.
    assert plan(15, rounds=2, queries_per_round=8).limit == 7
    assert plan(15, rounds=4, start="base", queries_per_round=5).limit == 5


def test_folds_are_parts_of_the_same_queries() -> None:
    made = plan(10, rounds=3, folds=3)
    assert (made.strategy, made.limit) == ("folds", 10)
    folds = [made.fold(number).to_pylist() for number in (1, 2, 3)]
    assert [len(fold) for fold in folds] == [4, 3, 3]
    assert sorted(set().union(*folds)) == sorted(made.of_round(1).to_pylist())
    assert rounds_of(made, 2)[0] == rounds_of(made, 2)[1]


@pytest.mark.parametrize("miner", ["first_round", "first_stage"])
def test_a_miner_that_no_round_trains_needs_no_folds(miner: str) -> None:
    assert plan(10, miner=miner).strategy == "same"
    # Fresh queries are still taken where they suffice: a round then learns from new ones.
    assert plan(12, miner=miner, queries_per_round=4).strategy == "fresh"


def test_the_seed_decides_which_queries() -> None:
    limit = {"queries_per_round": 4}
    assert rounds_of(plan(12, **limit), 2) == rounds_of(plan(12, **limit), 2)
    assert rounds_of(plan(12, **limit), 2) != rounds_of(plan(12, seed=2, **limit), 2)


def test_the_parameters_tell_rounds_apart_exactly_where_their_queries_differ() -> None:
    assert plan(12, queries_per_round=4).parameters(2) == {
        "queries": "fresh",
        "turn": 2,
        "limit": 4,
    }
    halves = plan(10, rounds=2)
    assert halves.parameters(3) == halves.parameters(1) != halves.parameters(2)
    folds = plan(10, folds=5)
    assert folds.parameters(1) == folds.parameters(2)
    assert folds.parameters(1)["folds"] == 5
    assert "folds" not in halves.parameters(1)


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(2, 30),
    rounds=st.integers(1, 5),
    limit=st.none() | st.integers(1, 12),
    start=st.sampled_from(["last_round", "base"]),
    folds=st.integers(2, 4),
    rejected=st.sets(st.integers(1, 5)),
)
def test_a_miner_has_never_trained_on_the_queries_that_it_mines(
    count: int, rounds: int, limit: int | None, start: str, folds: int, rejected: set[int]
) -> None:
    made = plan(count, rounds=rounds, start=start, queries_per_round=limit, folds=folds)
    assert made.strategy != "same"
    if made.strategy == "folds":
        parts = [set(made.fold(number).to_pylist()) for number in range(1, folds + 1)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == count
        return
    queries_of = {number: set(made.of_round(number).to_pylist()) for number in range(1, rounds + 1)}
    trained: dict[int, set[str]] = {0: set()}
    accepted: list[int] = []
    for number, now in queries_of.items():
        assert not trained[made.miner_of(number, accepted)] & now
        before = set() if start == "base" else trained[max(accepted, default=0)]
        trained[number] = before | now
        accepted += [] if number in rejected else [number]


def test_the_negatives_without_a_fold_are_those_of_all_other_queries() -> None:
    rows = [
        {
            "query_id": query,
            "positives": [],
            "negatives": [],
            "group_size": 1,
            "difficulty": 0.0,
            "weight": 1.0,
        }
        for query in "qrs"
    ]
    table = pa.Table.from_pylist(rows, schema=NEGATIVES)
    assert without(table, pa.array(["r", "x"]))["query_id"].to_pylist() == ["q", "s"]
