"""Near duplicates of queries, and that they never cross splits."""

import tracemalloc
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.data import like_queries
from strop.pipeline.data.like_queries import NEAR, like_groups
from strop.pipeline.data.splits import SplitRule, cut_missing_splits, keep_apart, times_of
from strop.pipeline.data.wording import CONFIG
from strop.pipeline.errors import InputError

OWN = {f"q{i}": f"q{i}" for i in range(8)}


def alike(*texts: str) -> bool:
    return len(set(like_groups(list(texts)).tolist())) == 1


def test_case_punctuation_order_and_repetition_do_not_matter() -> None:
    assert alike("How many points?", "how MANY points", "Points, how many (many)")
    assert not alike("how many points", "how many pints")


def test_one_word_more_among_six_is_near_and_one_other_is_not() -> None:
    assert alike("a1 b1 c1 d1 e1 f1", "a1 b1 c1 d1 e1 f1 g1")  # 6 of 7 words: 0.857
    assert not alike("a1 b1 c1 d1 e1", "a1 b1 c1 d1 e1 f1")  # 5 of 6: 0.833
    assert not alike("a1 b1 c1 d1 e1 f1", "a1 b1 c1 d1 e1 x1")  # 5 of 7


def test_scripts_without_spaces_and_texts_without_words() -> None:
    assert alike("你好吗", "你 好 吗?")
    assert not alike("你好吗", "你好")
    assert not alike("?!", "!!")
    assert alike("?!", "?!")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=14), min_size=1, max_size=25))
def test_groups_are_those_of_comparing_every_pair(words: list[list[int]]) -> None:
    sets = [set(row) for row in words]
    parent = list(range(len(sets)))

    def root(place: int) -> int:
        return place if parent[place] == place else root(parent[place])

    for left, right in combinations(range(len(sets)), 2):
        if len(sets[left] & sets[right]) >= NEAR * len(sets[left] | sets[right]):
            parent[root(left)] = root(right)
    found = like_groups([" ".join(f"w{word}" for word in row) for row in words])
    for left, right in combinations(range(len(sets)), 2):
        assert (found[left] == found[right]) == (root(left) == root(right))


def test_the_split_that_is_measured_keeps_a_query_that_two_have() -> None:
    splits = {"a": "train", "b": "test", "c": "dev", "d": "train", "e": "train"}
    texts = {"a": "Who won?", "b": "who won", "c": "who lost", "d": "who played", "e": "WHO won"}
    kept = keep_apart(splits, texts, {query: query for query in splits})
    assert kept.splits == {"b": "test", "c": "dev", "d": "train"}
    assert (kept.left_out, kept.near_duplicates) == ({"a": "b", "e": "b"}, 3)


def test_near_duplicates_and_their_groups_are_cut_together() -> None:
    groups = {**OWN, "q0": "x", "q1": "x"}
    texts = {query: f"text {query}" for query in OWN} | {"q1": "same as", "q2": "As same!"}
    splits = dict.fromkeys(OWN, "train")
    for seed in range(12):
        kept = keep_apart(splits, texts, groups)
        rule = SplitRule(0.4, 0.5, seed)
        cut = cut_missing_splits(kept.splits, groups, rule, linked=kept.linked)
        assert len({cut["q0"], cut["q1"], cut["q2"]}) == 1, seed
        assert {"train", "dev"} <= set(cut.values())


def test_without_near_duplicates_the_cut_is_as_it_would_be() -> None:
    texts = {query: f"text {query}" for query in OWN}
    splits = dict.fromkeys(OWN, "train")
    kept = keep_apart(splits, texts, OWN)
    rule = SplitRule(0.5, 0.5, 3)
    assert cut_missing_splits(splits, OWN, rule, linked=kept.linked) == cut_missing_splits(
        splits, OWN, rule
    )


def test_by_time_the_latest_are_measured_and_groups_go_by_their_latest_query() -> None:
    times = {query: float(number) for number, query in enumerate(OWN)}
    groups = {**OWN, "q0": "g", "q7": "g"}
    rule = SplitRule(0.5, 0.5, 1, test_share=0.375, by="time")
    cut = cut_missing_splits(dict.fromkeys(OWN, "train"), groups, rule, times=times)
    assert {query for query, split in cut.items() if split == "test"} == {"q0", "q6", "q7"}
    assert {query for query, split in cut.items() if split in ("dev", "gate")} == {"q4", "q5"}
    assert sorted(cut.values()) == ["dev", "gate", *["test"] * 3, *["train"] * 3]


def test_times_are_numbers_or_dates() -> None:
    fields = {"a": {"t": "2026-01-31"}, "b": {"t": "2026-01-31T01:00:00+01:00"}, "c": {"t": "7"}}
    found = times_of(fields, SplitRule(by="time", time_field="t"))
    assert found["a"] == found["b"] == 1769817600
    assert found["c"] == 7


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"a": {"year": "7", "lang": "en"}, "b": {"year": "8"}},
            "--split-by time: no query has the field 't'; --time-field takes another name: the "
            "fields are lang, year",
        ),
        ({"a": {}}, "--split-by time: no query has the field 't'; they have no fields at all"),
        (
            {"a": {"t": "7"}, "b": {}},
            "--split-by time: query 'b': has no field 't', expected a number or a date like "
            "2026-01-31",
        ),
        (
            {"a": {"t": "soon"}},
            "--split-by time: query 'a': field 't' is 'soon', expected a number or a date like "
            "2026-01-31",
        ),
    ],
)
def test_queries_without_a_time_are_told_with_the_fields_there_are(
    fields: dict[str, dict[str, str]], line: str
) -> None:
    with pytest.raises(InputError) as caught:
        times_of(fields, SplitRule(by="time", time_field="t"))
    assert str(caught.value) == line
    with pytest.raises(InputError, match=r"^data\.split_by = time: "):
        times_of(fields, SplitRule(by="time", time_field="t", wording=CONFIG))


def test_many_queries_are_compared_quickly() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in row) for row in random.integers(0, 9000, (20_000, 8))]
    assert len(set(like_groups([*texts, *texts[:100]]).tolist())) == 20_000


def test_memory_follows_the_pairs_that_are_compared_at_once(monkeypatch: Any) -> None:
    # Of twelve words every five: 792 queries, each of which shares its rarest word with hundreds.
    texts = [" ".join(words) for words in combinations("abcdefghijkl", 5)] * 2
    groups, peaks = [], []
    for most in (1 << 30, 1 << 13):
        monkeypatch.setattr(like_queries, "MOST_PAIRS", most)
        tracemalloc.start()
        groups.append(like_groups(texts).tolist())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert groups[0] == groups[1]
    assert peaks[1] < peaks[0] / 4
