from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, QRELS, SCORES, SELECTION
from strop.pipeline.config import Mining
from strop.pipeline.mining.calibration import Calibration
from strop.pipeline.mining.near_duplicates import WordSets
from strop.pipeline.mining.negatives import mining_summary
from strop.pipeline.mining.pool import sources, window
from strop.pipeline.mining.rows import selection_rows
from strop.pipeline.mining.selection import Round, Selected, select
from strop.pipeline.ragged import Ragged

Scores = Mapping[tuple[str, str], float]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def this_round(number: int = 3, *, temperature: float = 1.0, **more: Any) -> Round:
    values = {"weight": 0.0, "group_size": 0, "draw": number, **more}
    return Round(number, 3, seed=1, temperature=temperature, **values)


def retrieved(passages: Mapping[str, str]) -> pa.Table:
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


def score_table(scores: Scores | None) -> pa.Table | None:
    if scores is None:
        return None
    rows = [{"query_id": q, "passage_id": p, "score": value} for (q, p), value in scores.items()]
    return pa.Table.from_pylist(rows, schema=SCORES)


def grade_table(positives: Scores, others: str) -> pa.Table:
    """Positives of grade 1 and other judged passages of query q, which are not relevant."""
    graded = [*[(*pair, 1) for pair in positives], *[("q", letter, 0) for letter in others]]
    names = ("query_id", "passage_id", "grade")
    rows = [{**dict(zip(names, row, strict=True)), "split": "train"} for row in graded]
    return pa.Table.from_pylist(rows, schema=QRELS)


def selected(
    passages: Mapping[str, str],
    positives: Scores,
    reranker: Scores | None = None,
    *,
    config: Mining,
    this: Round | None = None,
    others: tuple[Mapping[str, str], ...] = (),
    judged: str = "",
    same_text: str = "",
    document: str = "",
    overlap: Mapping[str, float] | None = None,
    words: Mapping[str, list[int]] | None = None,
    teacher: Scores | None = None,
    earlier: Scores | None = None,
) -> Selected:
    """What is decided; the passages in ``same_text`` have one text, those of ``document`` are of
    one document, and all others differ; ``words`` of passages are numbers."""
    made = {"reranker_score": reranker, "teacher_score": teacher, "earlier_score": earlier}
    found = sources(retrieved(passages), [retrieved(other) for other in others], config)
    queries = pa.array(sorted({query for pool in (passages, *others) for query in pool}))
    table = selection_rows(
        window(found, queries),
        score_table(positives),
        grade_table(positives, judged),
        {name: score_table(scores) for name, scores in made.items()},
    )
    letters = table["passage_id"].to_pylist()
    keys = np.asarray([0 if letter in same_text else ord(letter) for letter in letters], np.int64)
    shares = np.asarray([(overlap or {}).get(letter, 0.0) for letter in letters])
    codes = np.asarray([0 if letter in document else ord(letter) for letter in letters], np.int64)
    this = this or this_round(weight=1.0 if reranker else 0.0)
    sized = replace(this, group_size=this.group_size or config.group_size)
    texts = {
        "documents": codes if document else None,
        "words": word_numbers(words, letters) if words else None,
    }
    return select(table, keys, shares if overlap else None, config, sized, **texts)


def word_numbers(words: Mapping[str, list[int]], letters: list[str]) -> WordSets:
    sets = Ragged.from_lists([words.get(letter, []) for letter in letters])
    return WordSets(sets, np.arange(len(letters)))


def decide(passages: Mapping[str, str], positives: Scores, *args: Any, **more: Any) -> pa.Table:
    return selected(passages, positives, *args, **more).table


def rules(selection: pa.Table, query_id: str = "q") -> dict[str, str]:
    """Decision and rule by passage."""
    return {
        row["passage_id"]: f"{row['decision']}: {row['rule']}"
        for row in selection.to_pylist()
        if row["query_id"] == query_id
    }


def with_rule(selection: pa.Table, label: str, query_id: str = "q") -> str:
    """The passages with a decision, or a decision and its rule."""
    found = rules(selection, query_id)
    return "".join(letter for letter in found if found[letter].startswith(label))


def mined(**values: Any) -> Mining:
    """A config that takes the two best candidates, but for these values."""
    return Mining.model_validate({"sampler": "top", "group_size": 3, **values})


TOP = mined()


def test_every_rule_by_hand() -> None:
    #   a 9  above the positive: suspect     b 8  the positive
    #   c 7  the text of b: skipped          d 6, e 5  the two negatives    f 4  not sampled
    selection = decide({"q": "abcdef"}, {("q", "b"): 8.0}, config=TOP, same_text="bc")
    assert selection.schema == SELECTION
    assert rules(selection) == {
        "a": "suspect: margin by first_stage",
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
    assert selection["grade"].to_pylist() == [None, 1, None, None, None, None]
    assert set(selection["pool"].to_pylist()) == {"first_stage"}
    assert set(selection["weight"].to_pylist()) == {1.0}


def test_what_was_decided_in_a_few_numbers() -> None:
    made = selected({"q": "abcdef"}, {("q", "b"): 8.0}, config=TOP)
    # Above the positive minus two spreads lie a, c, d and e, but not f: 4 > 8 - 2 * 1.71 is false.
    assert made.summary == {
        "mined_by": "first_stage",
        "hardness": 1.0,
        "group_size": 3,
        "mean_difficulty": 0.8,
        "unfilled_slots": 0,
    }
    (row,) = made.group_sizes.to_pylist()
    assert row == {"query_id": "q", "difficulty": pytest.approx(0.8), "group_size": 3}


def test_a_positive_that_the_first_stage_missed_is_kept_without_a_rank() -> None:
    selection = decide({"q": "abc"}, {("q", "z"): 8.5}, config=TOP)
    (row,) = [row for row in selection.to_pylist() if row["passage_id"] == "z"]
    assert (row["rank"], row["first_stage_score"], row["decision"]) == (None, 8.5, "positive")
    assert row["pool"] == "judged"
    # The margin is measured from its exact score: a (9) is above it, b (8) is not.
    assert rules(selection)["a"] == "suspect: margin by first_stage"
    assert rules(selection)["b"] == "negative: sampled"


def test_siblings_are_never_negatives() -> None:
    positives = {("q", "a"): 9.0, ("q", "d"): 6.0, ("r", "a"): 9.0}
    selection = decide({"q": "abcdef", "r": "abcdef"}, positives, config=TOP)
    assert rules(selection)["d"] == rules(selection)["a"] == "positive: judged"
    # Another query's positive may be a negative of this one.
    assert rules(selection, "r")["d"] != "positive: judged"


def test_near_duplicates_of_a_positive_are_skipped_from_their_threshold_on() -> None:
    overlap = {"b": 0.9, "c": 0.89, "d": 1.0}
    table = {"q": "abcd"}, {("q", "a"): 9.0}
    found = rules(decide(*table, config=TOP, overlap=overlap))
    assert found["b"] == found["d"] == "skipped: near_duplicate_of_positive"
    assert found["c"] == "negative: sampled"
    whole_texts = mined(guard={"near_duplicate": None})
    assert rules(decide(*table, config=whole_texts, overlap=overlap))["b"] == "negative: sampled"


def test_a_passage_that_people_judged_irrelevant_is_no_suspect() -> None:
    selection = decide({"q": "abcd"}, {("q", "d"): 6.0}, config=TOP, judged="b")
    assert with_rule(selection, "suspect") == "ac"
    assert with_rule(selection, "negative") == "b"
    capped = mined(guard={"rule": "none", "max_score": 7.5})
    selection = decide({"q": "abcd"}, {("q", "d"): 6.0}, config=capped, judged="b")
    assert with_rule(selection, "suspect: above_max_score") == "a"


def test_scores_above_a_cap_are_suspects_and_those_below_a_floor_are_too_easy() -> None:
    config = mined(group_size=9, guard={"max_score": 7.5, "min_score": 5.0})
    assert rules(decide({"q": "abcdefg"}, {("q", "b"): 8.0}, config=config)) == {
        "a": "suspect: margin by first_stage",
        "b": "positive: judged",
        "c": "negative: sampled",
        "d": "negative: sampled",
        "e": "negative: sampled",
        "f": "skipped: below_min_score",
        "g": "skipped: below_min_score",
    }
    lower = mined(group_size=9, guard={"max_score": 6.5, "min_score": 5.0})
    found = rules(decide({"q": "abcdefg"}, {("q", "b"): 8.0}, config=lower))
    assert found["c"] == "suspect: above_max_score"


def test_suspects_that_are_kept_may_be_sampled() -> None:
    selection = decide({"q": "abcd"}, {("q", "c"): 7.0}, config=mined(suspects="keep"))
    assert rules(selection) == {
        "a": "negative: sampled",
        "b": "negative: sampled",
        "c": "positive: judged",
        "d": "skipped: not_sampled",
    }
    assert selection["weight"].to_pylist() == [1.0] * 4


def test_suspects_that_are_down_weighted_keep_their_rule_and_lose_weight() -> None:
    config = mined(suspects="down_weight", suspect_weight=0.125)
    selection = decide({"q": "abcdef"}, {("q", "d"): 6.0}, config=config)
    assert rules(selection) == {
        "a": "negative: margin by first_stage",
        "b": "negative: margin by first_stage",
        "c": "suspect: margin by first_stage",
        "d": "positive: judged",
        "e": "skipped: not_sampled",
        "f": "skipped: not_sampled",
    }
    assert selection["weight"].to_pylist() == [0.125, 0.125, 1, 1, 1, 1]
    plain = decide({"q": "abcd"}, {("q", "a"): 9.0}, config=config)
    assert plain["weight"].to_pylist() == [1.0] * 4


def test_suspects_that_are_probable_enough_become_positives_and_the_others_are_dropped() -> None:
    #   probabilities by expit(score - 7): a 9 is 0.88, b 8 is 0.73, c 7 is 0.5
    config = mined(suspects="relabel", relabel_probability=0.8)
    this = this_round(calibrations={"first_stage": Calibration(1.0, -7.0)})
    selection = decide({"q": "abcdef"}, {("q", "d"): 6.0}, config=config, this=this)
    assert rules(selection) == {
        "a": "relabelled: margin by first_stage",
        "b": "suspect: margin by first_stage",
        "c": "suspect: margin by first_stage",
        "d": "positive: judged",
        "e": "negative: sampled",
        "f": "negative: sampled",
    }


def test_a_probable_passage_that_no_rule_suspects_stays_a_negative() -> None:
    this = this_round(calibrations={"first_stage": Calibration(1.0, 0.0)})
    config = mined(suspects="relabel", relabel_probability=0.5)
    selection = decide({"q": "abcd"}, {("q", "a"): 9.0}, config=config, this=this)
    assert with_rule(selection, "negative: sampled") == "bc"


def test_the_rule_of_probabilities_reads_the_calibration_of_what_mines() -> None:
    config = mined(guard={"rule": "probability", "probability": 0.6})
    by = {"mining": Calibration(1.0, 0.0), "first_stage": Calibration(1.0, -8.0)}
    passages, positives = {"q": "abcd"}, {("q", "d"): 6.0}
    selection = decide(passages, positives, config=config, this=this_round(calibrations=by))
    # expit(9 - 8) = 0.73, expit(8 - 8) = 0.5
    assert with_rule(selection, "suspect: probability by first_stage") == "a"
    logits = {("q", "a"): -2.0, ("q", "b"): 1.0, ("q", "c"): 0.2, ("q", "d"): 0.0}
    this = this_round(weight=1.0, calibrations=by)
    selection = decide(passages, positives, logits, config=config, this=this)
    assert with_rule(selection, "suspect: probability by reranker") == "b"


def test_a_fitted_threshold_is_told() -> None:
    #   20 queries whose positives score 9 … 7 and 5: a tenth of them may lie at or under 5
    config = mined(guard={"rule": "probability", "caught_share": 0.9})
    passages = {f"q{number:02}": "abcde" for number in range(20)}
    places = ["a"] * 6 + ["b"] * 6 + ["c"] * 6 + ["e"] * 2
    positives = {
        (query, letter): 106.0 - ord(letter) for query, letter in zip(passages, places, strict=True)
    }
    this = this_round(calibrations={"first_stage": Calibration(1.0, -7.0)})
    made = selected(passages, positives, config=config, this=this)
    fitted = made.summary["fitted"]["first_stage"]
    # 18 of 20 are caught by a threshold just under expit(7 - 7).
    assert (fitted["threshold"], fitted["hidden"]) == (0.5, 20)
    assert with_rule(made.table, "suspect: probability by first_stage", "q00") == "bc"
    assert with_rule(made.table, "suspect: probability by first_stage", "q19") == "abc"


@pytest.mark.parametrize(
    ("judges", "agreement", "expected"),
    [
        (["mining"], "any", {"a": "reranker", "c": "first_stage"}),
        (["teacher"], "any", {"b": "teacher", "c": "teacher"}),
        (
            ["mining", "teacher"],
            "any",
            {"a": "reranker", "b": "teacher", "c": "first_stage + teacher"},
        ),
        (["mining", "teacher"], "all", {"c": "first_stage + teacher"}),
        (
            ["mining", "earlier_round"],
            "all",
            {"a": "reranker + earlier_round", "c": "first_stage + earlier_round"},
        ),
        (["teacher", "earlier_round"], "all", {"b": "teacher", "c": "teacher + earlier_round"}),
        (
            ["mining", "teacher", "earlier_round"],
            "all",
            {"c": "first_stage + teacher + earlier_round"},
        ),
    ],
)
def test_judges_make_suspects_alone_or_together(
    judges: list[str], agreement: str, expected: dict[str, str]
) -> None:
    #                a    b    c    d, the positive
    #   reranker     9    5    -    7    who did not score a candidate has no say in it
    #   first stage            7    6    but this judges what the reranker did not score
    #   teacher      1    9    9    7
    #   earlier      9    -    9    7
    selection = decide(
        {"q": "abcd"},
        {("q", "d"): 6.0},
        {("q", "a"): 9.0, ("q", "b"): 5.0, ("q", "d"): 7.0},
        config=mined(guard={"judges": judges, "agreement": agreement}, teacher="a teacher"),
        teacher={("q", "a"): 1.0, ("q", "b"): 9.0, ("q", "c"): 9.0, ("q", "d"): 7.0},
        earlier={("q", "a"): 9.0, ("q", "c"): 9.0, ("q", "d"): 7.0},
    )
    found = {
        letter: rule.removeprefix("suspect: margin by ")
        for letter, rule in rules(selection).items()
        if rule.startswith("suspect")
    }
    assert found == expected


def test_a_judge_that_has_no_scores_this_round_is_left_out() -> None:
    guard = {"judges": ["mining", "earlier_round"], "agreement": "all"}
    selection = decide({"q": "abc"}, {("q", "b"): 8.0}, config=mined(guard=guard))
    assert rules(selection)["a"] == "suspect: margin by first_stage"


def test_the_margin_of_the_first_stage_is_in_its_own_units() -> None:
    config = mined(guard={"margin": 50.0, "first_stage_margin": 1.5})
    found = rules(decide({"q": "abcd"}, {("q", "a"): 9.0}, config=config))
    assert found["b"] == "suspect: margin by first_stage"  # 8 > 9 - 1.5
    assert found["c"] == "negative: sampled"


@pytest.mark.parametrize(("temperature", "suspects"), [(1.0, "b"), (3.0, "bc")])
def test_the_margin_of_the_reranker_is_in_units_of_the_temperature(
    temperature: float, suspects: str
) -> None:
    reranker = {("q", "a"): -2.0, ("q", "b"): -2.5, ("q", "c"): -4.0, ("q", "d"): -9.0}
    selection = decide(
        {"q": "abcd"},
        {("q", "a"): 9.0},
        reranker,
        config=mined(guard={"margin": 1.0}),
        this=this_round(temperature=temperature, weight=1.0),
    )
    assert with_rule(selection, "suspect: margin by reranker") == suspects
    assert selection["mining_score"].to_pylist() == [-2.0, -2.5, -4.0, -9.0]


@pytest.mark.parametrize(("rule", "share"), [("relative", 0.25), ("percentage", 0.75)])
def test_shares_of_the_positive_do_not_depend_on_the_temperature(rule: str, share: float) -> None:
    reranker = {("q", letter): score for letter, score in zip("abcd", (8, 7, 5, 1), strict=True)}
    for temperature in (1.0, 3.0):
        selection = decide(
            {"q": "abcd"},
            {("q", "a"): 9.0},
            reranker,
            config=mined(guard={"rule": rule, "margin": share, "first_stage_margin": share}),
            this=this_round(temperature=temperature, weight=1.0),
        )
        assert with_rule(selection, f"suspect: {rule} by reranker") == "b"  # 7 > 6 > 5


def test_at_fusion_weight_0_the_first_stage_mines_and_the_rerankers_scores_are_kept() -> None:
    reranker = {("q", letter): value for letter, value in zip("abcd", (1, 2, 3, 4), strict=True)}
    selection = decide({"q": "abcd"}, {("q", "a"): 9.0}, reranker, config=TOP, this=this_round())
    assert selection["mining_score"].to_pylist() == [9, 8, 7, 6]
    assert selection["reranker_score"].to_pylist() == [1, 2, 3, 4]


def test_candidates_past_the_pool_come_after_those_that_were_scored() -> None:
    #   The pool is abc: a is the positive, c a suspect by its logit. d and e were not scored: d is
    #   a suspect by its first-stage score (6 > 9 - 3.5), e is what is left beside b.
    reranker = {("q", "a"): 1.0, ("q", "b"): -3.0, ("q", "c"): 2.0}
    config = mined(guard={"first_stage_margin": 3.5})
    selection = decide({"q": "abcdef"}, {("q", "a"): 9.0}, reranker, config=config)
    assert rules(selection) == {
        "a": "positive: judged",
        "b": "negative: sampled",
        "c": "suspect: margin by reranker",
        "d": "suspect: margin by first_stage",
        "e": "negative: sampled",
        "f": "skipped: not_sampled",
    }
    assert selection["mining_score"].to_pylist() == [1.0, -3.0, 2.0, None, None, None]


def test_at_fusion_weight_0_the_whole_window_is_mined_by_the_first_stage() -> None:
    reranker = {("q", "a"): 1.0, ("q", "b"): -3.0}
    selection = decide({"q": "abcd"}, {("q", "a"): 9.0}, reranker, config=TOP, this=this_round())
    assert selection["mining_score"].to_pylist() == [9, 8, 7, 6]


def test_a_positive_must_have_been_scored() -> None:
    with pytest.raises(AssertionError, match="a positive was not scored"):
        decide({"q": "abc"}, {("q", "a"): 9.0}, {("q", "b"): 0.5}, config=TOP)


SHORT = (
    {"q": "abcdefg", "r": "abc", "s": "a"},
    {("q", "a"): 9.0, ("r", "a"): 9.0, ("s", "a"): 9.0},
)


def counts(selection: pa.Table) -> dict[str, int]:
    """How many negatives each query has."""
    found = dict.fromkeys(selection["query_id"].to_pylist(), 0)
    for row in selection.to_pylist():
        found[row["query_id"]] += row["decision"] == "negative"
    return found


def test_a_short_pool_gives_a_short_group_and_is_counted() -> None:
    made = selected(*SHORT, config=Mining(group_size=5))
    assert counts(made.table) == {"q": 4, "r": 2, "s": 0}
    assert made.group_sizes["group_size"].to_pylist() == [5, 5, 5]
    assert made.summary["unfilled_slots"] == 6
    assert mining_summary(made.table, made.group_sizes) == {
        "queries": 3,
        "negatives": 6,
        "suspects": 0,
        "queries_with_fewer_negatives": 2,
        "queries_without_negatives": 1,
        "rows": {"positive: judged": 3, "negative: sampled": 6, "skipped: not_sampled": 2},
    }


def test_slots_that_a_short_pool_cannot_fill_go_to_longer_ones_within_the_bounds() -> None:
    made = selected(*SHORT, config=Mining(group_size=4, group_size_min=2, group_size_max=6))
    assert counts(made.table) == {"q": 5, "r": 2, "s": 0}
    assert made.summary["unfilled_slots"] == 2


def test_a_band_of_quantiles_that_is_too_narrow_leaves_slots_unfilled() -> None:
    config = mined(sampler="quantile", group_size=5, quantile_low=0.0, quantile_high=0.5)
    made = selected({"q": "abcdefg"}, {("q", "a"): 9.0}, config=config)
    assert with_rule(made.table, "negative") == "efg"
    assert made.summary["unfilled_slots"] == 1


def test_competitive_queries_have_larger_groups_at_the_same_budget() -> None:
    #   r's positive leads its pool by far, q's is in the middle of it, and s's lies between.
    passages = dict.fromkeys("qrs", LETTERS[:12])
    leads = {"q": 1.0, "r": 40.0, "s": 7.0}
    reranker = {
        (query, letter): leads[query] if letter == "a" else float(12 - place)
        for query, letters in passages.items()
        for place, letter in enumerate(letters)
    }
    positives = {(query, "a"): 9.0 for query in "qrs"}
    config = mined(
        group_size=5, group_size_min=2, group_size_max=8, difficulty_margin=2.0, suspects="keep"
    )
    made = selected(passages, positives, reranker, config=config)
    # Above 1 - 2 lie all, above 40 - 2 none; above 7 - 2 the scores 11 to 6, which are 6 of 11.
    assert made.group_sizes["difficulty"].to_pylist() == pytest.approx([1, 0, 6 / 11])
    sizes = made.group_sizes["group_size"].to_pylist()
    assert sizes == [8, 2, 5]
    assert counts(made.table) == {"q": 7, "r": 1, "s": 4}
    assert made.summary["mean_difficulty"] == pytest.approx(17 / 33, abs=1e-4)


def test_difficulty_counts_suspects_but_neither_positives_nor_what_was_skipped() -> None:
    passages = {"q": "abcdef"}
    found = selected(
        passages,
        {("q", "b"): 8.0},
        {("q", letter): score for letter, score in zip("abcdef", (9, 8, 9, 7, 1, 0), strict=True)},
        config=mined(difficulty_margin=2.0),
        same_text="bc",
    )
    # Of a d e f, a (a suspect) and d lie above 8 - 2.
    assert found.group_sizes["difficulty"].to_pylist() == [0.5]


def test_a_round_with_smaller_groups_than_the_config_s_takes_fewer_negatives() -> None:
    made = selected(
        {"q": LETTERS}, {("q", "a"): 9.0}, config=mined(group_size=9), this=this_round(group_size=5)
    )
    assert counts(made.table) == {"q": 4}
    assert made.summary["group_size"] == 5


@pytest.mark.parametrize(("number", "hard"), [(1, 0), (2, 3), (3, 6)])
def test_the_curriculum_takes_more_by_score_in_later_rounds(number: int, hard: int) -> None:
    config = Mining.model_validate(
        {"group_size": 11, "quotas": {"reranker_hard": 0.6, "random": 0.4}}
    )
    selection = decide({"q": LETTERS}, {("q", "a"): 9.0}, config=config, this=this_round(number))
    samplers = selection["sampler"].to_pylist()
    assert (samplers.count("top"), samplers.count("uniform")) == (hard, 10 - hard)
    assert samplers[1 : 1 + hard] == ["top"] * hard


def test_the_seed_the_round_and_the_query_decide_and_nothing_else() -> None:
    config = Mining(sampler="uniform", group_size=6)
    positives = {("q", "a"): 9.0, ("r", "a"): 9.0}
    both = decide({"q": LETTERS, "r": LETTERS}, positives, config=config)
    alone = decide({"r": LETTERS}, {("r", "a"): 9}, config=config)
    assert rules(both, "r") == rules(alone, "r")
    assert rules(both, "q") != rules(both, "r")
    later = decide({"r": LETTERS}, {("r", "a"): 9}, config=config, this=this_round(2))
    assert rules(later, "r") != rules(alone, "r")


def test_rounds_of_one_draw_take_the_same_negatives() -> None:
    config = Mining(sampler="uniform", group_size=6)
    first, second = (
        decide({"q": LETTERS}, {("q", "a"): 9}, config=config, this=this_round(number, draw=1))
        for number in (1, 2)
    )
    assert first.equals(second)


POSITIVE = {("q", "a"): 9.0}
FOUND = {"q": "abcdefghij"}
BM25 = {"q": "xvwghz"}


def pooled(*quotas: float | None, size: int = 5, **values: Any) -> Mining:
    pools = [{"source": "bm25", "quota": quota} for quota in quotas]
    return mined(more_pools=pools, group_size=size, **values)


def test_a_pool_without_a_quota_competes_by_score() -> None:
    selection = decide(FOUND, POSITIVE, config=pooled(None), others=(BM25,))
    assert with_rule(selection, "negative") == "bcde"
    pools = dict(
        zip(selection["passage_id"].to_pylist(), selection["pool"].to_pylist(), strict=True)
    )
    assert (pools["b"], pools["g"]) == ("first_stage", "first_stage + pool 1 (bm25)")
    assert pools["x"] == "pool 1 (bm25)"


def test_a_quota_is_filled_from_its_pool_first_by_whoever_found_it_too() -> None:
    selection = decide(FOUND, POSITIVE, config=pooled(0.5), others=(BM25,))
    # g and h are the pool's best by the first stage's score; the rest are the best of all.
    assert with_rule(selection, "negative") == "bcgh"
    assert counts(selection) == {"q": 4}


def test_what_the_first_stage_does_not_have_gets_its_lowest_score() -> None:
    selection = decide(FOUND, POSITIVE, config=pooled(1.0), others=(BM25,))
    rows = {row["passage_id"]: row for row in selection.to_pylist()}
    assert (rows["x"]["first_stage_score"], rows["x"]["mining_score"]) == (None, 0.0)
    # In the order of their ids, as all of v w x z score the same.
    assert with_rule(selection, "negative") == "ghvw"


def test_what_the_first_stage_does_not_have_is_guarded_by_the_most_that_it_can_score() -> None:
    #   The first stage ranks g h i at 9 8 7; it missed the positive p, which scores 4. What it did
    #   not rank scores at most 7: nobody knows that x and v lie below 4, so they are suspects.
    config = pooled(None, size=3)
    missed = decide({"q": "ghi"}, {("q", "p"): 4.0}, config=config, others=({"q": "xv"},))
    assert with_rule(missed, "suspect: margin by first_stage") == "ghivx"
    # 7 is not above a positive that was found at 8 nor, with a margin of 0, at 7.
    for positive, suspects in ((("q", "h"), "g"), (("q", "i"), "gh")):
        score = {positive: 8.0 if positive[1] == "h" else 7.0}
        found = decide({"q": "ghi"}, score, config=config, others=({"q": "xv"},))
        assert with_rule(found, "suspect: margin by first_stage") == suspects
        assert with_rule(found, "negative")[-2:] in ("vx", "iv")


def test_a_query_of_which_the_first_stage_ranks_nothing_is_mined_all_the_same() -> None:
    config = pooled(None, size=3)
    passages = {"q": "ghi"}
    positives = {("q", "h"): 8.0, ("r", "p"): 4.0}
    others = ({"q": "xv", "r": "xv"},)
    made = decide(passages, positives, config=config, others=others)
    assert with_rule(made, "negative", "r") == "vx"
    reranker = {("q", letter): 1.0 for letter in "ghixv"} | {("r", "p"): 1, ("r", "x"): 2}
    by_both = this_round(weight=0.5)
    made = decide(passages, positives, reranker, config=config, others=others, this=by_both)
    assert with_rule(made, "suspect: margin by fused", "r") == "x"
    assert with_rule(made, "negative", "r") == "v"


def test_the_reranker_mines_other_pools_by_its_own_scores() -> None:
    reranker = {("q", "a"): 5.0, ("q", "x"): 4.0, ("q", "b"): 3.0, ("q", "z"): 6.0}
    selection = decide(FOUND, POSITIVE, reranker, config=pooled(None, size=3), others=(BM25,))
    assert with_rule(selection, "negative") == "bx"
    assert with_rule(selection, "suspect: margin by reranker") == "z"


def test_a_pool_that_cannot_fill_its_quota_leaves_the_rest_to_all() -> None:
    selection = decide(FOUND, POSITIVE, config=pooled(1.0), others=({"q": "x"},))
    assert with_rule(selection, "negative") == "bcdx"


def test_quotas_that_round_up_together_never_exceed_the_group() -> None:
    # Half of 3 negatives is 2 for either pool.
    config = pooled(0.5, 0.5, size=4)
    selection = decide(FOUND, POSITIVE, config=config, others=({"q": "fgh"}, {"q": "hij"}))
    assert with_rule(selection, "negative") == "fgh"


IN_BATCH = {"quotas": {"reranker_hard": 0.5, "in_batch": 0.5, "random": 0.0}, "sampler": "mixed"}


_ADDED = ("q", "in_batch")


def in_batch(selection: pa.Table, query_id: str = "q") -> str:
    """The passages that come from other queries."""
    return "".join(
        row["passage_id"]
        for row in selection.to_pylist()
        if (row["query_id"], row["sampler"]) == (query_id, "in_batch")
    )


def test_positives_of_other_queries_fill_their_share_of_a_group() -> None:
    #   q's window has r's positive p, so only s's and t's are from elsewhere; t's u has q's text.
    passages = {"q": "abcdp", "r": "pbcd", "s": "tbcd", "t": "ubcd"}
    positives = {("q", "a"): 9.0, ("r", "p"): 9.0, ("s", "t"): 9.0, ("t", "u"): 9.0}
    made = selected(passages, positives, config=mined(group_size=5, **IN_BATCH), same_text="au")
    assert made.table.schema == SELECTION
    assert with_rule(made.table, "negative") == "bct"
    assert in_batch(made.table) == "t"
    (row,) = [row for row in made.table.to_pylist() if (row["query_id"], row["pool"]) == _ADDED]
    assert (row["rank"], row["mining_score"], row["grade"]) == (None, None, None)
    assert (row["rule"], row["weight"]) == ("sampled", 1.0)
    # s has two of the positives a, p and u.
    assert len(set(in_batch(made.table, "s"))) == 2
    assert set(in_batch(made.table, "s")) < set("apu")
    assert made.summary["unfilled_slots"] == 1


def test_a_positive_of_another_query_that_nearly_repeats_ones_own_is_no_negative() -> None:
    # t's positive u has three of the four words of q's a, and s's positive v has two.
    passages = {"q": "abcd", "s": "vbcd", "t": "ubcd"}
    positives = {("q", "a"): 9.0, ("s", "v"): 9.0, ("t", "u"): 9.0}
    words = {"a": [1, 2, 3, 4], "u": [1, 2, 3], "v": [1, 2]}

    def drawn(near: float | None) -> str:
        config = mined(group_size=5, guard={"near_duplicate": near}, **IN_BATCH)
        return in_batch(selected(passages, positives, config=config, words=words).table)

    assert drawn(None) == drawn(0.8) == "uv"
    assert drawn(0.75) == "v"  # nothing else takes the place
    assert drawn(0.5) == ""


def test_another_positive_takes_the_place_of_one_that_nearly_repeats_ones_own() -> None:
    passages = {"q": "abcd"} | {query: f"{query.upper()}bcd" for query in "stuvw"}
    positives = {("q", "a"): 9.0} | {(query, query.upper()): 9.0 for query in "stuvw"}
    config = mined(group_size=5, guard={"near_duplicate": 0.9}, **IN_BATCH)
    for letters in ("STU", "UVW", "SUW"):
        words = {"a": [1, 2], **{letter: [1, 2] for letter in letters}}
        made = selected(passages, positives, config=config, words=words).table
        assert set(in_batch(made)) == set("STUVW") - set(letters)


def test_no_passage_of_a_relevant_document_is_a_negative() -> None:
    # q's positive a is of one document with c and with r's positive p, which q did not find.
    passages, positives = {"q": "abcde", "r": "pbcd"}, {("q", "a"): 9.0, ("r", "p"): 9.0}
    config = mined(group_size=5, **IN_BATCH)
    made = selected(passages, positives, config=config, document="acp").table
    assert rules(made)["c"] == rules(made, "r")["c"] == "skipped: sibling_of_positive"
    assert with_rule(made, "negative") == "bd"
    assert in_batch(made) == in_batch(made, "r") == ""
    assert in_batch(selected(passages, positives, config=config, document="ac").table) == "p"


def test_passages_of_a_relabelled_document_are_no_negatives_either() -> None:
    config = mined(suspects="relabel", relabel_probability=0.8)
    this = this_round(calibrations={"first_stage": Calibration(1.0, -7.0)})
    found = decide({"q": "abcdef"}, {("q", "d"): 6.0}, config=config, this=this, document="af")
    assert rules(found)["a"].startswith("relabelled")
    assert rules(found)["f"] == "skipped: sibling_of_positive"
    assert with_rule(found, "negative") == "e"


def test_what_the_teacher_has_no_score_of_is_not_trained_on_where_losses_need_one() -> None:
    passages, positives = {"q": "abcd", "r": "pbcd"}, {("q", "a"): 9.0, ("r", "p"): 9.0}
    teacher = {("q", "a"): 5.0, ("q", "c"): 1.0, ("r", "b"): 1.0}
    config = mined(group_size=4)
    made = selected(
        passages, positives, config=config, this=this_round(taught=True), teacher=teacher
    )
    assert rules(made.table) == {
        "a": "positive: judged",
        "b": "skipped: without_teacher_score",
        "c": "negative: sampled",
        "d": "skipped: without_teacher_score",
    }
    # r's positive has no score, so that r teaches nothing.
    assert set(rules(made.table, "r").values()) == {"skipped: without_teacher_score"}
    untaught = selected(passages, positives, config=config, teacher=teacher).table
    assert with_rule(untaught, "negative") == "bcd"


def test_other_queries_fill_no_more_than_their_share_of_a_full_group() -> None:
    passages = {"q": "ab", "r": "pbcdefg", "s": "tbcdefg", "t": "ubcdefg"}
    positives = {("q", "a"): 9.0, ("r", "p"): 9.0, ("s", "t"): 9.0, ("t", "u"): 9.0}
    made = selected(passages, positives, config=mined(group_size=5, **IN_BATCH))
    assert counts(made.table) == {"q": 3, "r": 4, "s": 4, "t": 4}
    assert len(in_batch(made.table)) == 2
    assert made.summary["unfilled_slots"] == 1


def test_the_share_of_other_queries_is_taken_of_what_pools_leave() -> None:
    #   Of 8 negatives 4 are the pool's; of the other 4, 2 are other queries' positives.
    others = {query: query.upper() + LETTERS for query in "rstuv"}
    positives = {**POSITIVE, **{(query, query.upper()): 9.0 for query in others}}
    made = selected(
        {"q": "abcdefghij", **others},
        positives,
        config=pooled(0.5, size=9, **IN_BATCH),
        others=({"q": "fghi"},),
    )
    assert counts(made.table) == dict.fromkeys("qrstuv", 8)
    assert len(in_batch(made.table)) == 2
    assert set("fghi") < set(with_rule(made.table, "negative"))


MIXES = [
    {"reranker_hard": 0.5, "random": 0.5},
    {"reranker_hard": 0.3, "first_stage_hard": 0.3, "random": 0.4},
    {"reranker_hard": 0.2, "in_batch": 0.5, "random": 0.3},
]
POOLS = [[], [{"source": "bm25"}], [{"source": "bm25", "quota": 0.5}] * 2]


@st.composite
def configs(draw: st.DrawFn) -> Mining:
    low, mean, high = sorted(draw(st.integers(2, 6)) for _ in range(3))
    return Mining.model_validate(
        {
            "sampler": draw(st.sampled_from(["top", "uniform", "log_rank", "simans", "mixed"])),
            "suspects": draw(st.sampled_from(["drop", "keep", "down_weight"])),
            "quotas": draw(st.sampled_from(MIXES)),
            "more_pools": draw(st.sampled_from(POOLS)),
            "group_size_min": low,
            "group_size": mean,
            "group_size_max": high,
        }
    )


@settings(max_examples=100, deadline=None)
@given(data=st.data(), config=configs())
def test_every_pool_row_is_kept_with_one_decision(data: st.DataObject, config: Mining) -> None:
    letters = st.text("abcdefghij", min_size=1, max_size=8).map(
        lambda text: "".join(dict.fromkeys(text))
    )
    passages = data.draw(st.dictionaries(st.sampled_from("qrs"), letters, min_size=1))
    others = tuple({query: data.draw(letters) for query in passages} for _ in config.more_pools)
    positives = {
        (query, passage): float(data.draw(st.integers(-3, 12)))
        for query in passages
        for passage in data.draw(st.text("abcdefghijz", min_size=1, max_size=3))
    }
    same = data.draw(st.text("abcdefghij", max_size=4))
    made = selected(passages, positives, config=config, same_text=same, others=others)
    everything = made.table.to_pylist()
    rows = [row for row in everything if row["sampler"] != "in_batch"]
    keys = [(row["query_id"], row["passage_id"]) for row in rows]
    window = {(query, passage) for query in passages for passage in passages[query]}
    found = window | {
        (query, passage) for pool in others for query in pool for passage in pool[query]
    }
    assert sorted(keys) == sorted(found | positives.keys())
    for key, row in zip(keys, rows, strict=True):
        assert row["decision"] in ("positive", "suspect", "skipped", "negative")
        assert row["rule"]
        assert (row["decision"] == "positive") == (key in positives)
        assert (row["sampler"] != "") == (row["decision"] == "negative")
        assert (row["rank"] is None) == (key not in window)
    taken = counts(made.table)
    assert max(taken.values()) <= config.group_sizes[1] - 1
    budget = len(taken) * (config.group_size - 1)
    assert made.summary["unfilled_slots"] == budget - sum(taken.values())
    for row in everything:
        if row["sampler"] == "in_batch":
            assert (row["query_id"], row["passage_id"]) not in found | positives.keys()
            assert row["passage_id"] in {passage for _, passage in positives}
