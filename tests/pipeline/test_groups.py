from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import NEGATIVES
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.training.groups import Groups, plan_groups, standardised
from strop.pipeline.training.train import passages_of
from tests.world import WORDS, bert_tokenizer, pair_source

Lists = dict[str, tuple[str, str]]


def negatives(rows: Lists, **columns: dict[str, Any]) -> pa.Table:
    """By query its positives and its negatives, one letter a passage.

    ``columns`` are values by query (``weight``, ``difficulty``) or by passage (the others).
    """

    def member(passage: str, **more: Any) -> dict[str, Any]:
        scores = {
            name: columns.get(name, {}).get(passage)
            for name in ("first_stage_score", "teacher_score")
        }
        return {"passage_id": passage, **scores, **more}

    records = [
        {
            "query_id": query,
            "positives": [member(p, grade=columns.get("grade", {}).get(p, 1)) for p in positive],
            "negatives": [
                member(
                    p,
                    score=0.0,
                    rank=1,
                    sampler="top",
                    hardness=0.0,
                    weight=columns.get("member_weight", {}).get(p, 1.0),
                )
                for p in mined
            ],
            "group_size": len(mined) + 1,
            "difficulty": columns.get("difficulty", {}).get(query, 0.0),
            "weight": columns.get("weight", {}).get(query, 1.0),
        }
        for query, (positive, mined) in rows.items()
    ]
    return pa.Table.from_pylist(records, schema=NEGATIVES)


def config(*, seed: int = 1, course: str = "none", **training: Any) -> Config:
    mining = {"curriculum": {"epoch": course}}
    return Config.model_validate({"seed": seed, "mining": mining, "training": training})


@pytest.fixture(scope="module")
def source() -> PairSource:
    """Queries q, r, s, t are rows 0 to 3, passages a to j rows 0 to 9."""
    texts = dict(zip("abcdefghij", WORDS, strict=False))
    return pair_source(bert_tokenizer(), dict(zip("qrst", WORDS, strict=False)), texts)


def listed(groups: Groups) -> list[tuple[str, str]]:
    """Query and members as letters."""
    rows = np.split(groups.members.passage_rows, groups.offsets[1:-1])
    return [
        ("qrst"[row], "".join("abcdefghij"[p] for p in members))
        for row, members in zip(groups.query_rows, rows, strict=True)
    ]


def test_every_query_once_an_epoch_with_its_positive_first(source: PairSource) -> None:
    rows = {"r": ("a", "cde"), "q": ("b", "f"), "s": ("j", "ab")}
    table = negatives(rows, weight={"q": 0.5})
    groups = plan_groups(table, source, config(epochs=2), round_number=1)
    found = listed(groups)
    assert sorted(found[:3]) == sorted(found[3:]) == [("q", "bf"), ("r", "acde"), ("s", "jab")]
    weights = {query: float(w) for (query, _), w in zip(found, groups.weights, strict=True)}
    assert weights == {"q": 0.5, "r": 1.0, "s": 1.0}
    assert (groups.pairs, groups.queries, groups.replayed.any()) == (18, 3, False)


def test_members_keep_what_the_losses_read(source: PairSource) -> None:
    table = negatives(
        {"q": ("a", "bc"), "r": ("d", "e")},
        grade={"a": 3},
        member_weight={"c": 0.25},
        teacher_score={"a": 2.0, "b": 1.0},
        first_stage_score={"a": 5.0, "b": 1.0},
    )
    groups = plan_groups(table, source, config(), round_number=1)
    members = groups.members
    by_passage = {"abcdefghij"[row]: place for place, row in enumerate(members.passage_rows)}
    order = [by_passage[p] for p in "abcde"]
    assert members.grades[order].tolist() == [3, 0, 0, 1, 0]
    assert members.weights[order].tolist() == [1, 1, 0.25, 1, 1]
    np.testing.assert_array_equal(members.teacher_scores[order], [2, 1, np.nan, np.nan, np.nan])
    # 5, 1 and the lowest for the unknown: mean 7/3, standard deviation sqrt(32/9).
    expected = [2 / 2**0.5, -1 / 2**0.5, -1 / 2**0.5, 0, 0]
    np.testing.assert_allclose(members.first_stage_scores[order], expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 9), min_size=1, max_size=8),
    data=st.data(),
)
def test_standardised_scores_have_mean_0_and_spread_1(sizes: list[int], data: Any) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    values = st.one_of(st.just(np.nan), st.floats(-100, 100, width=32))
    length = int(offsets[-1])
    scores = np.array(data.draw(st.lists(values, min_size=length, max_size=length)), np.float32)
    found = standardised(scores, offsets)
    assert np.isfinite(found).all()
    for start, end in pairwise(offsets):
        group, known = found[start:end], ~np.isnan(scores[start:end])
        assert group.mean() == pytest.approx(0, abs=1e-4)
        assert group.std() == pytest.approx(1, abs=1e-4) or not group.any()
        if known.any():
            assert group[~known] == pytest.approx(group.min(), abs=1e-5)


def test_one_of_several_positives_is_drawn_anew_in_every_epoch(source: PairSource) -> None:
    table = negatives({"q": ("abc", "de")})
    found = listed(plan_groups(table, source, config(epochs=40), round_number=1))
    assert {members[1:] for _, members in found} == {"de"}
    drawn = [members[0] for _, members in found]
    assert set(drawn) == set("abc")
    assert all(drawn.count(positive) >= 4 for positive in "abc")


def test_seed_and_round_decide_the_order(source: PairSource) -> None:
    table = negatives({"q": ("abc", "de"), "r": ("abc", "de"), "s": ("abc", "de")})

    def plan(seed: int, round_number: int) -> list[tuple[str, str]]:
        settings = config(seed=seed, epochs=4)
        return listed(plan_groups(table, source, settings, round_number=round_number))

    assert plan(1, 1) == plan(1, 1)
    assert plan(1, 1) != plan(2, 1)
    assert plan(1, 1) != plan(1, 2)


def test_the_curriculum_orders_an_epoch_by_difficulty(source: PairSource) -> None:
    rows = {"q": ("a", "j"), "r": ("b", "j"), "s": ("c", "j"), "t": ("d", "j")}
    table = negatives(rows, difficulty={"q": 0.9, "r": 0.1, "s": 0.5})
    groups = plan_groups(table, source, config(course="step"), round_number=1)
    found = [query for query, _ in listed(groups)]
    assert found.index("r") < found.index("q")
    assert found.index("t") < found.index("q")


@pytest.mark.parametrize(("budget", "groups"), [(3, 1), (5, 1), (6, 2), (9, 3), (11, 3), (30, 10)])
def test_a_budget_of_pairs_cuts_or_adds_epochs(
    source: PairSource, budget: int, groups: int
) -> None:
    # Three groups of 3 pairs are an epoch.
    table = negatives({"q": ("a", "bc"), "r": ("d", "ef"), "s": ("g", "hi")})
    settings = config(epochs=2, pairs_per_round=budget)
    planned = plan_groups(table, source, settings, round_number=1)
    assert len(planned) == groups
    assert budget - 3 < planned.pairs <= budget
    whole = listed(plan_groups(table, source, config(epochs=10), round_number=1))
    assert listed(planned) == whole[:groups]


@pytest.mark.parametrize("budget", [6, 9])
def test_a_curriculum_that_a_budget_cuts_still_reaches_the_hard_queries(
    source: PairSource, budget: int
) -> None:
    #   An epoch has 12 pairs. The easy half alone would be q and r, in every seed.
    rows = {query: (letter, "ij") for query, letter in zip("qrst", "abcd", strict=True)}
    hard = dict(zip("qrst", (0.1, 0.2, 0.8, 0.9), strict=True))
    table = negatives(rows, difficulty=hard)
    last = set()
    for seed in range(12):
        settings = config(seed=seed, course="step", pairs_per_round=budget)
        found = [q for q, _ in listed(plan_groups(table, source, settings, round_number=1))]
        assert len(found) == budget / 3 == len(set(found))
        half = (len(found) + 1) // 2
        assert max(hard[query] for query in found[:half]) < min(hard[q] for q in found[half:])
        last.add(found[-1])
    assert {"s", "t"} <= last
    more = config(course="step", pairs_per_round=12 + budget)
    again = [q for q, _ in listed(plan_groups(table, source, more, round_number=1))]
    assert sorted(again[:4]) == list("qrst")
    assert len(again[4:]) == budget / 3 == len(set(again[4:]))
    whole = config(course="step", pairs_per_round=24)
    assert len(plan_groups(table, source, whole, round_number=1)) == 8


def test_a_budget_below_one_group_is_refused(source: PairSource) -> None:
    table = negatives({"q": ("a", "bcd")})
    with pytest.raises(InputError, match=r"training\.pairs_per_round = 3: .* group of 4 pairs"):
        plan_groups(table, source, config(pairs_per_round=3), round_number=1)
    with pytest.raises(InputError, match=r"training\.pairs_per_round = 3: .* group of 4 pairs"):
        plan_groups(table, source, config(pairs_per_round=3, course="root"), round_number=1)


def test_replayed_groups_take_a_share_of_the_places(source: PairSource) -> None:
    table = negatives({"q": ("a", "b"), "r": ("c", "d"), "s": ("e", "f"), "t": ("g", "h")})
    earlier = [negatives({"q": ("a", "i")}), negatives({"r": ("c", "i"), "t": ("g", "i")})]

    def plan(seed: int = 1, **training: Any) -> Groups:
        settings = config(seed=seed, replay_share=0.5, **training)
        return plan_groups(table, source, settings, round_number=3, earlier=earlier)

    groups = plan(epochs=6)
    assert len(groups) == 24
    old = [members[1] == "i" for _, members in listed(groups)]
    assert old == groups.replayed.tolist()
    assert [sum(old[start : start + 4]) for start in range(0, 24, 4)] == [2] * 6
    # 12 places for 3 earlier groups: each is drawn as often as any other.
    drawn = [query for (query, _), replayed in zip(listed(groups), old, strict=True) if replayed]
    assert {query: drawn.count(query) for query in "qrt"} == {"q": 4, "r": 4, "t": 4}
    assert listed(plan(epochs=6)) == listed(groups)
    assert listed(plan(seed=2, epochs=6)) != listed(groups)
    assert plan(pairs_per_round=20).pairs == 20


def test_without_earlier_tables_nothing_is_replayed(source: PairSource) -> None:
    table = negatives({"q": ("a", "b"), "r": ("c", "d")})
    plain = plan_groups(table, source, config(), round_number=1)
    replaying = plan_groups(table, source, config(replay_share=0.5), round_number=1)
    assert listed(plain) == listed(replaying)


def test_no_negatives_give_no_groups(source: PairSource) -> None:
    assert len(plan_groups(negatives({}), source, config(epochs=2), round_number=1)) == 0


def test_a_part_of_a_table_keeps_its_own_lists(source: PairSource) -> None:
    table = negatives({"r": ("a", "cde"), "q": ("b", "f"), "s": ("j", "ab")}).slice(1)
    groups = plan_groups(table, source, config(), round_number=1)
    assert sorted(listed(groups)) == [("q", "bf"), ("s", "jab")]
    assert sorted(passages_of(table).to_pylist()) == list("abfj")
    assert sorted(passages_of(table, table.slice(1)).to_pylist()) == list("abfj")
