from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, SCORES
from strop.pipeline import query_blocks
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage import rank_fusion
from strop.pipeline.first_stage.rank_fusion import FirstStageTables

STATELESS = [HealthCheck.function_scoped_fixture]  # `tables` only holds functions


def found(tables, passages: dict[str, list[str]], *positives: tuple[str, str]) -> FirstStageTables:
    rows = [{"query_id": q, "passage_id": p, "score": 7.0} for q, p in positives]
    return FirstStageTables(tables.candidates(passages), pa.Table.from_pylist(rows, schema=SCORES))


def fuse_ranks(lists: list[FirstStageTables], **options: int) -> FirstStageTables:
    """Both tables at once."""
    written = [CANDIDATES.empty_table()]
    positives = rank_fusion.fuse_ranks(lists, written.append, **options)
    return FirstStageTables(pa.concat_tables(written).unify_dictionaries(), positives)


def shown(table: pa.Table) -> list[tuple[str, str, int]]:
    names = ("query_id", "passage_id", "rank")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def test_fusion_by_hand(tables) -> None:
    # q0: a 1/61, b 1/62 + 1/61, c 1/62; q1 is in the second list alone
    first = found(tables, {"q0": ["a", "b"]}, ("q0", "b"), ("q0", "z"))
    second = found(tables, {"q1": ["x"], "q0": ["b", "c"]}, ("q0", "b"), ("q0", "z"))
    fused = fuse_ranks([first, second], constant=60, depth=10)
    assert fused.candidates.schema == CANDIDATES
    assert shown(fused.candidates) == [
        ("q0", "b", 1),
        ("q0", "a", 2),
        ("q0", "c", 3),
        ("q1", "x", 1),
    ]
    np.testing.assert_allclose(
        fused.candidates["score"].to_numpy(), [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 61], rtol=1e-6
    )
    assert set(fused.candidates["source"].to_pylist()) == {"fused"}
    assert set(fused.candidates["split"].to_pylist()) == {"dev"}
    assert fused.positives["passage_id"].to_pylist() == ["b", "z"]
    np.testing.assert_allclose(fused.positives["score"].to_numpy(), [1 / 62 + 1 / 61, 0], rtol=1e-6)


def test_ties_go_to_the_better_rank_then_to_the_passage_id(tables) -> None:
    # With constant 1, b is 1/2 by one list and c is 1/4 + 1/4 by two: equal scores, b's rank is
    # better. a and z are both rank 1 of a list of their own.
    first = found(tables, {"q": ["z", "y", "c"]})
    second = found(tables, {"q": ["a", "w", "c"]})
    third = found(tables, {"q": ["b"]})
    fused = fuse_ranks([first, second, third], constant=1, depth=10)
    assert [row[1] for row in shown(fused.candidates)] == ["a", "b", "z", "c", "w", "y"]


def test_the_depth_cuts_candidates_and_never_positives(tables) -> None:
    first = found(tables, {"q": ["a", "b", "c"]}, ("q", "c"))
    second = found(tables, {"q": ["b", "a", "c"]}, ("q", "c"))
    fused = fuse_ranks([first, second], constant=60, depth=2)
    assert shown(fused.candidates) == [("q", "a", 1), ("q", "b", 2)]
    np.testing.assert_allclose(fused.positives["score"].to_numpy(), [2 / 63], rtol=1e-6)


def test_one_list_is_not_fused(tables) -> None:
    with pytest.raises(InputError, match="1 list of candidates: expected two or more"):
        fuse_ranks([found(tables, {"q": ["a"]})], constant=60, depth=1)


@settings(max_examples=40, deadline=None, suppress_health_check=STATELESS)
@given(seed=st.integers(0, 10_000), lists=st.integers(2, 4), constant=st.sampled_from([1, 7, 60]))
def test_fusion_agrees_with_exact_fractions(tables, seed: int, lists: int, constant: int) -> None:
    random = np.random.default_rng(seed)
    rankings = [
        {
            f"q{q}": [f"p{p}" for p in random.permutation(9)[: random.integers(1, 9)]]
            for q in range(3)
        }
        for _ in range(lists)
    ]
    pairs = [("q0", "p0"), ("q2", "p8")]
    parts = [found(tables, ranking, *pairs) for ranking in rankings]
    fused = fuse_ranks(parts, constant=constant, depth=5)
    expected, scores = [], {}
    for query in ("q0", "q1", "q2"):
        ranks = {
            passage: [r[query].index(passage) + 1 for r in rankings if passage in r[query]]
            for passage in {p for r in rankings for p in r[query]}
        }
        sums = {p: sum(Fraction(1, constant + r) for r in found) for p, found in ranks.items()}
        scores |= {(query, p): float(total) for p, total in sums.items()}
        best = sorted(sums, key=lambda p: (-sums[p], min(ranks[p]), p))[:5]
        expected += [(query, passage, rank) for rank, passage in enumerate(best, start=1)]
    assert shown(fused.candidates) == expected
    wanted = [scores.get(pair, 0) for pair in pairs]
    np.testing.assert_allclose(fused.positives["score"].to_numpy(), wanted, rtol=1e-6)


def test_blocks_of_queries_are_fused_as_all_of_them_are(tables, monkeypatch) -> None:
    random = np.random.default_rng(5)
    lists = []
    for _ in range(2):
        ids = [f"q{number}" for number in random.permutation(9)]
        passages = {q: random.permutation(list("abcdef"))[:4].tolist() for q in ids}
        judged = [(q, p) for q in ids for p in "ax"]
        lists.append(found(tables, passages, *judged))
    whole = fuse_ranks(lists, constant=60, depth=5)
    monkeypatch.setattr(query_blocks, "BLOCK_ROWS", 8)
    blocks = fuse_ranks(lists, constant=60, depth=5)
    assert blocks.candidates.equals(whole.candidates)
    assert blocks.positives.equals(whole.positives)
    assert whole.positives["query_id"].to_pylist()[:3] == [
        *lists[0].positives["query_id"].to_pylist()[:3]
    ]
