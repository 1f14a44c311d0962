import pyarrow as pa
import pytest

from strop.artifacts.schemas import NEGATIVES
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.training.groups import Groups, plan_groups
from strop.pipeline.training.train import passages_of
from tests.world import WORDS, bert_tokenizer, pair_source


def negatives(
    rows: dict[str, tuple[str, str]], weights: dict[str, float] | None = None
) -> pa.Table:
    """By query its positives and its negatives, one letter a passage."""
    records = [
        {
            "query_id": query,
            "positive_ids": list(positive),
            "negatives": [
                {"passage_id": p, "score": 0.0, "rank": 1, "sampler": "top", "hardness": 0.0}
                for p in mined
            ],
            "group_size": len(mined) + 1,
            "weight": (weights or {}).get(query, 1.0),
        }
        for query, (positive, mined) in rows.items()
    ]
    return pa.Table.from_pylist(records, schema=NEGATIVES)


@pytest.fixture(scope="module")
def source() -> PairSource:
    """Queries q, r, s are rows 0 to 2, passages a to j rows 0 to 9."""
    texts = dict(zip("abcdefghij", WORDS, strict=False))
    return pair_source(bert_tokenizer(), dict(zip("qrs", WORDS, strict=False)), texts)


def listed(groups: Groups) -> list[tuple[str, str]]:
    """Query and members as letters."""
    return [
        ("qrs"[row], "".join("abcdefghij"[p] for p in groups.members.row(index)))
        for index, row in enumerate(groups.query_rows)
    ]


def test_every_query_once_an_epoch_with_its_positive_first(source: PairSource) -> None:
    table = negatives({"r": ("a", "cde"), "q": ("b", "f"), "s": ("j", "ab")}, {"q": 0.5})
    groups = plan_groups(table, source, epochs=2, seed=1, round_number=1)
    found = listed(groups)
    assert sorted(found[:3]) == sorted(found[3:]) == [("q", "bf"), ("r", "acde"), ("s", "jab")]
    weights = {query: float(w) for (query, _), w in zip(found, groups.weights, strict=True)}
    assert weights == {"q": 0.5, "r": 1.0, "s": 1.0}


def test_one_of_several_positives_is_drawn_anew_in_every_epoch(source: PairSource) -> None:
    table = negatives({"q": ("abc", "de")})
    found = listed(plan_groups(table, source, epochs=40, seed=1, round_number=1))
    assert {members[1:] for _, members in found} == {"de"}
    drawn = [members[0] for _, members in found]
    assert set(drawn) == set("abc")
    assert all(drawn.count(positive) >= 4 for positive in "abc")


def test_seed_and_round_decide_the_order(source: PairSource) -> None:
    table = negatives({"q": ("abc", "de"), "r": ("abc", "de"), "s": ("abc", "de")})

    def plan(seed: int, round_number: int) -> list[tuple[str, str]]:
        return listed(plan_groups(table, source, epochs=4, seed=seed, round_number=round_number))

    assert plan(1, 1) == plan(1, 1)
    assert plan(1, 1) != plan(2, 1)
    assert plan(1, 1) != plan(1, 2)


def test_no_negatives_give_no_groups(source: PairSource) -> None:
    assert len(plan_groups(negatives({}), source, epochs=2, seed=1, round_number=1)) == 0


def test_a_part_of_a_table_keeps_its_own_lists(source: PairSource) -> None:
    table = negatives({"r": ("a", "cde"), "q": ("b", "f"), "s": ("j", "ab")}).slice(1)
    groups = plan_groups(table, source, epochs=1, seed=1, round_number=1)
    assert sorted(listed(groups)) == [("q", "bf"), ("s", "jab")]
    assert sorted(passages_of(table).to_pylist()) == list("abfj")
