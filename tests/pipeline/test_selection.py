from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, SCORES, SELECTION
from strop.pipeline.config import Mining
from strop.pipeline.mining.negatives import mining_summary
from strop.pipeline.mining.selection import Round, pool_with_positives, select

Scores = Mapping[tuple[str, str], float]


def this_round(number: int = 3, *, weight: float = 1.0, temperature: float = 1.0) -> Round:
    return Round(number, 3, seed=1, temperature=temperature, weight=weight)


def pool(passages: Mapping[str, str]) -> pa.Table:
    """One letter a passage; the first scores 9, the next 8 and so on."""
    rows = [
        {
            "query_id": query_id,
            "passage_id": passage_id,
            "rank": rank,
            "score": 10.0 - rank,
            "source": "dense",
            "split": "train",
        }
        for query_id, letters in passages.items()
        for rank, passage_id in enumerate(letters, 1)
    ]
    return pa.Table.from_pylist(rows, schema=CANDIDATES)


def score_table(scores: Scores) -> pa.Table:
    rows = [{"query_id": q, "passage_id": p, "score": value} for (q, p), value in scores.items()]
    return pa.Table.from_pylist(rows, schema=SCORES)


def decide(
    passages: Mapping[str, str],
    positives: Scores,
    reranker: Scores | None = None,
    *,
    config: Mining,
    this: Round | None = None,
    same_text: str = "",
) -> pa.Table:
    """The selection; the passages in ``same_text`` have one text, all others differ."""
    rows = pool_with_positives(
        pool(passages), score_table(positives), score_table(reranker) if reranker else None
    )
    letters = rows["passage_id"].to_pylist()
    keys = np.asarray([0 if letter in same_text else ord(letter) for letter in letters], np.int64)
    return select(rows, keys, config, this or this_round(weight=1.0 if reranker else 0.0))


def rules(selection: pa.Table, query_id: str = "q") -> dict[str, str]:
    """Decision and rule by passage."""
    return {
        row["passage_id"]: f"{row['decision']}: {row['rule']}"
        for row in selection.to_pylist()
        if row["query_id"] == query_id
    }


TOP = Mining(sampler="top", group_size=3)


def test_every_rule_by_hand() -> None:
    #   a 9  above the positive: suspect     b 8  the positive
    #   c 7  the text of b: skipped          d 6, e 5  the two negatives    f 4  not sampled
    selection = decide({"q": "abcdef"}, {("q", "b"): 8.0}, config=TOP, same_text="bc")
    assert selection.schema == SELECTION
    assert rules(selection) == {
        "a": "suspect: above_margin",
        "b": "positive: judged",
        "c": "skipped: duplicate_of_positive",
        "d": "negative: sampled",
        "e": "negative: sampled",
        "f": "skipped: not_sampled",
    }
    assert selection["rank"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert selection["reranker_score"].null_count == 6
    assert selection["mining_score"].to_pylist() == [9, 8, 7, 6, 5, 4]
    assert selection["sampler"].to_pylist() == ["", "", "", "top", "top", ""]


def test_a_positive_that_the_first_stage_missed_is_kept_without_a_rank() -> None:
    selection = decide({"q": "abc"}, {("q", "z"): 8.5}, config=TOP)
    (row,) = [row for row in selection.to_pylist() if row["passage_id"] == "z"]
    assert (row["rank"], row["first_stage_score"], row["decision"]) == (None, 8.5, "positive")
    # The margin is measured from its exact score: a (9) is above it, b (8) is not.
    assert rules(selection)["a"] == "suspect: above_margin"
    assert rules(selection)["b"] == "negative: sampled"


def test_siblings_are_never_negatives() -> None:
    positives = {("q", "a"): 9.0, ("q", "d"): 6.0, ("r", "a"): 9.0}
    selection = decide({"q": "abcdef", "r": "abcdef"}, positives, config=TOP)
    assert rules(selection)["d"] == rules(selection)["a"] == "positive: judged"
    # Another query's positive may be a negative of this one.
    assert rules(selection, "r")["d"] != "positive: judged"


def test_suspects_that_are_kept_may_be_sampled() -> None:
    kept = TOP.model_copy(update={"suspects": "keep"})
    found = rules(decide({"q": "abcd"}, {("q", "c"): 7.0}, config=kept))
    assert found == {
        "a": "negative: sampled",
        "b": "negative: sampled",
        "c": "positive: judged",
        "d": "skipped: not_sampled",
    }


def test_the_margin_of_the_first_stage_is_in_its_own_units() -> None:
    config = TOP.model_copy(update={"margin": 50.0, "first_stage_margin": 1.5})
    found = rules(decide({"q": "abcd"}, {("q", "a"): 9.0}, config=config))
    assert found["b"] == "suspect: above_margin"  # 8 > 9 - 1.5
    assert found["c"] == "negative: sampled"


@pytest.mark.parametrize(("temperature", "suspects"), [(1.0, "b"), (3.0, "bc")])
def test_the_margin_of_the_reranker_is_in_units_of_the_temperature(
    temperature: float, suspects: str
) -> None:
    reranker = {("q", "a"): -2.0, ("q", "b"): -2.5, ("q", "c"): -4.0, ("q", "d"): -9.0}
    config = TOP.model_copy(update={"margin": 1.0})
    selection = decide(
        {"q": "abcd"},
        {("q", "a"): 9.0},
        reranker,
        config=config,
        this=this_round(temperature=temperature),
    )
    found = rules(selection)
    assert "".join(p for p in found if found[p] == "suspect: above_margin") == suspects
    assert selection["mining_score"].to_pylist() == [-2.0, -2.5, -4.0, -9.0]


def test_at_fusion_weight_0_the_first_stage_mines_and_the_rerankers_scores_are_kept() -> None:
    reranker = {("q", letter): value for letter, value in zip("abcd", (1, 2, 3, 4), strict=True)}
    selection = decide(
        {"q": "abcd"}, {("q", "a"): 9.0}, reranker, config=TOP, this=this_round(weight=0.0)
    )
    assert selection["mining_score"].to_pylist() == [9, 8, 7, 6]
    assert selection["reranker_score"].to_pylist() == [1, 2, 3, 4]


def test_candidates_past_the_pool_come_after_those_that_were_scored() -> None:
    #   The pool is abc: a is the positive, c a suspect by its logit. d and e were not scored: d is
    #   a suspect by its first-stage score (6 > 9 - 3.5), e is what is left beside b.
    reranker = {("q", "a"): 1.0, ("q", "b"): -3.0, ("q", "c"): 2.0}
    config = TOP.model_copy(update={"first_stage_margin": 3.5})
    selection = decide({"q": "abcdef"}, {("q", "a"): 9.0}, reranker, config=config)
    assert rules(selection) == {
        "a": "positive: judged",
        "b": "negative: sampled",
        "c": "suspect: above_margin",
        "d": "suspect: above_first_stage_margin",
        "e": "negative: sampled",
        "f": "skipped: not_sampled",
    }
    assert selection["mining_score"].to_pylist() == [1.0, -3.0, 2.0, None, None, None]


def test_at_fusion_weight_0_the_whole_window_is_mined_by_the_first_stage() -> None:
    reranker = {("q", "a"): 1.0, ("q", "b"): -3.0}
    selection = decide(
        {"q": "abcd"}, {("q", "a"): 9.0}, reranker, config=TOP, this=this_round(weight=0.0)
    )
    assert selection["mining_score"].to_pylist() == [9, 8, 7, 6]


def test_a_positive_must_have_been_scored() -> None:
    with pytest.raises(AssertionError, match="a positive was not scored"):
        decide({"q": "abc"}, {("q", "a"): 9.0}, {("q", "b"): 0.5}, config=TOP)


def test_a_short_pool_gives_a_short_group_and_is_counted() -> None:
    config = Mining(sampler="mixed", group_size=5)
    selection = decide(
        {"q": "abcdefg", "r": "abc", "s": "a"},
        {("q", "a"): 9.0, ("r", "a"): 9.0, ("s", "a"): 9.0},
        config=config,
    )
    counts = {
        query: sum(rule == "negative: sampled" for rule in rules(selection, query).values())
        for query in "qrs"
    }
    assert counts == {"q": 4, "r": 2, "s": 0}
    assert mining_summary(selection, config.group_size) == {
        "queries": 3,
        "negatives": 6,
        "suspects": 0,
        "queries_with_fewer_negatives": 2,
        "queries_without_negatives": 1,
        "rows": {"positive: judged": 3, "negative: sampled": 6, "skipped: not_sampled": 2},
    }


@pytest.mark.parametrize(("number", "hard"), [(1, 0), (2, 3), (3, 6)])
def test_the_curriculum_takes_more_by_score_in_later_rounds(number: int, hard: int) -> None:
    config = Mining(sampler="mixed", group_size=11, hard_share=0.6)
    selection = decide(
        {"q": "abcdefghijklmnopqrstuvwxyz"},
        {("q", "a"): 9.0},
        config=config,
        this=this_round(number, weight=0.0),
    )
    samplers = selection["sampler"].to_pylist()
    assert (samplers.count("top"), samplers.count("uniform")) == (hard, 10 - hard)
    assert samplers[1 : 1 + hard] == ["top"] * hard


def test_the_seed_the_round_and_the_query_decide_and_nothing_else() -> None:
    config = Mining(sampler="uniform", group_size=6)
    letters, this = "abcdefghijklmnopqrstuvwxyz", this_round(weight=0.0)
    both = decide(
        {"q": letters, "r": letters}, {("q", "a"): 9, ("r", "a"): 9}, config=config, this=this
    )
    alone = decide({"r": letters}, {("r", "a"): 9}, config=config, this=this)
    assert rules(both, "r") == rules(alone, "r")
    assert rules(both, "q") != rules(both, "r")
    later = decide({"r": letters}, {("r", "a"): 9}, config=config, this=this_round(2, weight=0.0))
    assert rules(later, "r") != rules(alone, "r")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_pool_row_is_kept_with_one_decision(data: st.DataObject) -> None:
    letters = st.text("abcdefghij", min_size=1, max_size=8).map(
        lambda text: "".join(dict.fromkeys(text))
    )
    passages = data.draw(st.dictionaries(st.sampled_from("qrs"), letters, min_size=1))
    positives = {
        (query, passage): float(data.draw(st.integers(-3, 12)))
        for query in passages
        for passage in data.draw(st.text("abcdefghijz", min_size=1, max_size=3))
    }
    config = Mining.model_validate(
        {
            "sampler": data.draw(st.sampled_from(["top", "uniform", "mixed"])),
            "suspects": data.draw(st.sampled_from(["drop", "keep"])),
            "group_size": data.draw(st.integers(2, 6)),
        }
    )
    same = data.draw(st.text("abcdefghij", max_size=4))
    selection = decide(passages, positives, config=config, same_text=same)
    rows = selection.to_pylist()
    keys = [(row["query_id"], row["passage_id"]) for row in rows]
    expected = {(query, passage) for query in passages for passage in passages[query]}
    assert sorted(keys) == sorted(expected | positives.keys())
    for key, row in zip(keys, rows, strict=True):
        assert row["decision"] in ("positive", "suspect", "skipped", "negative")
        assert row["rule"]
        assert (row["decision"] == "positive") == (key in positives)
        assert (row["sampler"] != "") == (row["decision"] == "negative")
        assert (row["rank"] is None) == (key not in expected)
    for query in passages:
        taken = [row for row in rows if (row["query_id"], row["decision"]) == (query, "negative")]
        assert len(taken) <= config.group_size - 1
