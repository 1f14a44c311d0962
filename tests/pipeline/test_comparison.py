import pyarrow as pa
import pytest

from strop.artifacts.schemas import METRICS_PER_QUERY
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.comparison import Arm, arms_table, differences_table


def per_query(values: dict[str, list[float]], split: str = "dev") -> pa.Table:
    rows = [
        {
            "query_id": f"q{number}",
            "group_id": f"q{number}",
            "split": split,
            "ranking": ranking,
            "depth": 10,
            "metric": "nDCG@10",
            "value": value,
        }
        for ranking, found in values.items()
        for number, value in enumerate(found)
    ]
    return pa.Table.from_pylist(rows, schema=METRICS_PER_QUERY)


def arm(name: str, seed: int, first: list[float], last: list[float]) -> Arm:
    rounds = {
        number: per_query({"reranker": values, "fused": values})
        for number, values in ((1, first), (2, last))
    }
    final = per_query({"reranker": last, "fused": last, "first_stage": [0.1, 0.2, 0.3]}, "test")
    return Arm(name, seed, 2, final, rounds, {1: 80, 2: 80}, {2: 300})


ARMS = [
    arm("control", 1, [0.1, 0.1, 0.1], [0.2, 0.2, 0.2]),
    arm("control", 2, [0.1, 0.1, 0.1], [0.4, 0.4, 0.4]),
    arm("ours", 1, [0.1, 0.1, 0.1], [0.5, 0.3, 0.7]),
    arm("ours", 2, [0.1, 0.1, 0.1], [0.5, 0.5, 0.5]),
]


def test_pairs_are_counted_up_to_each_round():
    rows = [row for row in arms_table(ARMS).to_pylist() if row["ranking"] == "fused"]
    ours = [row for row in rows if (row["arm"], row["seed"]) == ("ours", 1)]
    assert [row["split"] for row in ours] == ["dev", "dev", "test"]
    found = [(r["round"], r["trained_pairs"], r["scored_pairs"], r["final"]) for r in ours]
    assert found == [(1, 80, 0, False), (2, 160, 300, True), (2, 160, 300, True)]
    assert ours[2]["value"] == pytest.approx(0.5)


def test_nobody_knows_what_a_reranker_from_outside_was_trained_on():
    outside = Arm("theirs", 1, 1, ARMS[0].final_per_query, {1: ARMS[0].per_query[1]}, {}, {})
    rows = arms_table([outside]).to_pylist()
    assert {(row["trained_pairs"], row["scored_pairs"]) for row in rows} == {(None, None)}


def test_the_first_stage_stands_below_the_arms():
    found = differences_table(ARMS, opponent="control", metric="nDCG@10", seed=1, samples=500)
    first_stage = found.to_pylist()[-1]
    assert (first_stage["arm"], first_stage["ranking"]) == ("first stage", "first_stage")
    assert first_stage["value"] == pytest.approx(0.2)
    assert first_stage["difference"] is None


def test_an_arms_difference_is_of_the_queries_means_over_seeds():
    found = differences_table(ARMS, opponent="control", metric="nDCG@10", seed=1, samples=500)
    ours, control = (
        next(row for row in found.to_pylist() if (row["arm"], row["ranking"]) == (name, "fused"))
        for name in ("ours", "control")
    )
    assert ours["value"] == pytest.approx(0.5)
    assert ours["difference"] == pytest.approx(0.2)
    assert ours["ci_low"] <= 0.2 <= ours["ci_high"]
    assert control["difference"] is None
    assert control["spread"] == pytest.approx(0.2 / 2**0.5)
    assert (ours["num_seeds"], ours["n"]) == (2, 3)


def test_the_first_stage_stands_for_an_arm_that_ends_with_a_fresh_head():
    final = per_query({"fused": [0.1, 0.2, 0.3], "first_stage": [0.1, 0.2, 0.3]}, "test")
    base = Arm("control", 2, 0, final, {1: ARMS[1].per_query[1]}, {1: 80}, {})
    found = differences_table(
        [ARMS[0], base, *ARMS[2:]], opponent="control", metric="nDCG@10", seed=1, samples=500
    )
    rows = {(row["arm"], row["ranking"]): row for row in found.to_pylist()}
    for ranking in ("reranker", "fused"):
        assert rows["control", ranking]["value"] == pytest.approx(0.2)
        assert rows["ours", ranking]["difference"] == pytest.approx(0.3)


def test_an_opponent_that_is_no_arm_is_refused():
    with pytest.raises(InputError, match="arm 'other': is none of control, ours"):
        differences_table(ARMS, opponent="other", metric="nDCG@10", seed=1, samples=500)
