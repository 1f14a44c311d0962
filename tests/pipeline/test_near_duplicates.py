import re

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import CORPUS
from strop.pipeline.mining import near_duplicates
from strop.pipeline.mining.near_duplicates import WordSets, largest_overlap, word_sets
from strop.pipeline.ragged import Ragged


def corpus(*rows: tuple[str, str, str]) -> pa.Table:
    records = [
        {"passage_id": passage_id, "title": title, "text": text, "parent_id": None}
        for passage_id, title, text in rows
    ]
    return pa.Table.from_pylist(records, schema=CORPUS)


def sets_of(words: WordSets) -> list[frozenset[int]]:
    return [frozenset(words.sets.row(row).tolist()) for row in words.rows]


def test_equal_words_are_equal_numbers_whatever_their_case_order_and_number() -> None:
    batches = [
        corpus(("a", "", "Deep water, deep!"), ("unasked", "", "other")),
        corpus(("b", "WATER", "(deep)"), ("c", "", "deep waters"), ("d", "", "¿?")),
        corpus(),
    ]
    a, c, b, d, again = sets_of(word_sets(batches, pa.array(["a", "c", "b", "d", "a"])))
    assert a == b == again
    assert len(a) == len(c) == 2
    assert len(a & c) == 1
    assert d == frozenset()


def test_scripts_without_spaces_count_by_letter_and_marks_stay_in_their_word() -> None:
    batches = [corpus(("han", "", "深水深い"), ("mark", "", "जल गहरा"))]
    han, mark = sets_of(word_sets(batches, pa.array(["han", "mark"])))
    assert len(han) == 3
    assert len(mark) == 2


def test_the_overlap_by_hand() -> None:
    #       positive   3 of 5      a copy     nothing  empty | another query's: 4 of 5
    rows = [[1, 2, 3, 4], [1, 2, 3, 9], [4, 3, 2, 1], [7, 8], [], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    words = WordSets(Ragged.from_lists([sorted(row) for row in rows]), np.arange(7))
    codes = np.array([0, 0, 0, 0, 0, 1, 1])
    positive = np.array([True, False, False, False, False, False, True])
    found = largest_overlap(words, codes, positive)
    assert found.tolist() == pytest.approx([0, 0.6, 1.0, 0, 0, 0.8, 0])


def test_a_query_without_positives_has_no_overlap() -> None:
    words = WordSets(Ragged.from_lists([[1, 2]]), np.array([0, 0]))
    assert largest_overlap(words, np.array([0, 0]), np.array([False, False])).tolist() == [0, 0]
    empty = WordSets(Ragged.from_lists([]), np.zeros(0, np.int64))
    assert largest_overlap(empty, np.zeros(0, np.int64), np.zeros(0, bool)).tolist() == []


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_blocks_of_any_size_find_what_sets_find(block: int, monkeypatch) -> None:
    monkeypatch.setattr(near_duplicates, "BLOCK_WORDS", block)
    random = np.random.default_rng(0)
    letters = list("abcdefgh")
    texts = [" ".join(random.choice(letters, random.integers(0, 9))) for _ in range(20)]
    table = corpus(*((f"p{number}", "", text) for number, text in enumerate(texts)))
    rows = random.integers(0, 20, 60)
    codes, positive = np.repeat([0, 1, 3, 4, 6], 12), random.random(60) < 0.2
    words = word_sets([table], pa.array([f"p{row}" for row in rows]))
    found = largest_overlap(words, codes, positive)
    sets = [set(re.findall(r"\w+", texts[row])) for row in rows]
    for row, overlap in enumerate(found):
        own = [sets[other] for other in np.flatnonzero(positive & (codes == codes[row]))]
        shares = [len(sets[row] & one) / len(sets[row] | one) for one in own if sets[row] | one]
        assert overlap == pytest.approx(0 if positive[row] else max(shares, default=0))
