from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import CORPUS
from strop.pipeline.mining.duplicates import repeats_a_positive, text_keys
from strop.pipeline.mining.near_duplicates import word_sets


def corpus(*rows: tuple[str, str, str]) -> pa.Table:
    records = [
        {"passage_id": passage_id, "title": title, "text": text, "parent_id": None}
        for passage_id, title, text in rows
    ]
    return pa.Table.from_pylist(records, schema=CORPUS)


def test_equal_numbers_mean_equal_text() -> None:
    batches = [
        corpus(("a", "", "Deep  Water\n"), ("b", "deep", "water"), ("unasked", "", "other")),
        corpus(("c", "", "deep waters"), ("d", "", "deep water")),
    ]
    keys = text_keys(batches, pa.array(["a", "c", "b", "d", "a"]))
    assert len(keys) == 5
    assert keys[0] == keys[2] == keys[3] == keys[4]
    assert keys[1] != keys[0]


def long_texts(held: list[int]) -> Iterator[pa.Table]:
    """Forty passages of 100 kB, one a batch; ``held`` is what Arrow holds before each."""
    for number in range(40):
        held.append(pa.total_allocated_bytes())
        yield corpus((f"p{number}", "", f"{number} " + "word " * 20_000))


@pytest.mark.parametrize("read", [text_keys, word_sets])
def test_the_texts_of_a_corpus_are_never_held_together(read: Callable[..., Any]) -> None:
    held: list[int] = []
    read(long_texts(held), pa.array([f"p{number}" for number in range(40)]))
    assert max(held) - held[0] < 1_000_000


def test_only_rows_with_the_text_of_a_positive_of_their_own_query_repeat_one() -> None:
    #                   query 0: positive, its copy, another; query 1: the same text, a positive
    codes = np.array([0, 0, 0, 1, 1])
    keys = np.array([5, 5, 2, 5, 2])
    positive = np.array([True, False, False, False, True])
    assert repeats_a_positive(codes, keys, positive).tolist() == [False, True, False, False, False]


def test_two_positives_of_equal_text_are_no_repetition() -> None:
    found = repeats_a_positive(np.zeros(2, int), np.zeros(2, int), np.array([True, True]))
    assert found.tolist() == [False, False]
