import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import CANDIDATES, SCORES
from strop.pipeline.config import Bm25
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage.bm25 import (
    WordIndex,
    build_word_index,
    positive_scores,
    read_word_index,
    retrieve,
    write_word_index,
)
from strop.pipeline.first_stage.words import check_language, known_languages, word_splitter

STATELESS = [HealthCheck.function_scoped_fixture]  # `tables` only holds functions
PLAIN = Bm25(language=None)
METHODS = ["lucene", "robertson", "atire", "bm25l", "bm25+"]
PASSAGES = ["red fox", "red red wine cellar", "blue whale", "", "fox wine"]
IDS = pa.array(["a", "b", "c", "d", "e"])


def queries(tables, *texts: str) -> pa.Table:
    table = tables.queries([f"q{number}" for number in range(len(texts))])
    return table.set_column(1, "text", pa.array(texts))


def found(index: WordIndex, table: pa.Table, ids: pa.Array = IDS, depth: int = 10) -> pa.Table:
    rows = pa.concat_tables(retrieve(index, ids, table, depth=depth))
    assert rows.schema == CANDIDATES
    return rows


def judged(tables, table: pa.Table, ids: pa.Array) -> pa.Table:
    """Every passage as a positive of every query."""
    return tables.qrels(
        {q: dict.fromkeys(ids.to_pylist(), 1) for q in table["query_id"].to_pylist()}
    )


def lucene(
    query: str, passage: str, passages: list[str], k1: float = 1.2, b: float = 0.75
) -> float:
    """Robertson's BM25 with Lucene's idf, in double precision, one word after the other."""
    counts, mean = Counter(passage.split()), np.mean([len(text.split()) for text in passages])
    score = 0.0
    for word in query.split():
        frequency = sum(word in text.split() for text in passages)
        idf = math.log(1 + (len(passages) - frequency + 0.5) / (frequency + 0.5))
        weight = k1 * (1 - b + b * len(passage.split()) / mean)
        score += idf * counts[word] / (counts[word] + weight) if frequency else 0
    return score


def test_scores_are_those_of_the_formula_and_passages_without_a_word_are_left_out(tables) -> None:
    index = build_word_index([PASSAGES[:2], PASSAGES[2:]], PLAIN)
    rows = found(index, queries(tables, "red fox", "unheard of", "whale whale"))
    assert rows["query_id"].to_pylist() == ["q0"] * 3 + ["q2"]
    assert rows["passage_id"].to_pylist() == ["a", "b", "e", "c"]
    assert rows["rank"].to_pylist() == [1, 2, 3, 1]
    assert set(rows["source"].to_pylist()) == {"bm25"}
    expected = [lucene("red fox", PASSAGES[row], PASSAGES) for row in (0, 1, 4)]
    expected += [lucene("whale whale", PASSAGES[2], PASSAGES)]
    np.testing.assert_allclose(rows["score"].to_numpy(), expected, rtol=1e-6)


def test_ties_are_ordered_and_cut_by_the_place_in_the_corpus(tables) -> None:
    passages = ["fox"] * 40 + ["fox fox"] + ["fox"] * 40
    ids = pa.array([f"p{80 - row}" for row in range(81)])
    rows = found(build_word_index([passages], PLAIN), queries(tables, "fox"), ids, depth=5)
    assert rows["passage_id"].to_pylist() == ["p40", "p80", "p79", "p78", "p77"]


@pytest.mark.parametrize("method", METHODS)
def test_a_word_of_the_query_is_needed_in_every_variant(tables, method: str) -> None:
    index = build_word_index([PASSAGES], Bm25(method=method, language=None))
    rows = found(index, queries(tables, "whale blue", "nothing"))
    assert rows["passage_id"].to_pylist() == ["c"]


@settings(max_examples=30, deadline=None, suppress_health_check=STATELESS)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS), depth=st.integers(1, 12))
def test_candidates_and_positives_agree_with_bm25s_on_every_passage(
    tables, seed: int, method: str, depth: int
) -> None:
    random = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(12)]
    passages = [" ".join(random.choice(words, random.integers(1, 6))) for _ in range(20)] + [""]
    ids = pa.array([f"p{row}" for row in range(21)])
    table = queries(tables, *(" ".join(random.choice(words, 3)) for _ in range(4)), "w99")
    index = build_word_index([passages], Bm25(method=method, language=None))
    rows = found(index, table, ids, depth)
    scores = positive_scores(index, ids, table, judged(tables, table, ids))
    assert scores.schema == SCORES
    for number, text in enumerate(table["text"].to_pylist()):
        known = [word for word in text.split() if word in index.weights.vocab_dict]
        expected = index.weights.get_scores(known) if known else np.zeros(21, np.float32)
        np.testing.assert_array_equal(scores["score"].to_numpy()[number * 21 :][:21], expected)
        # The last passage is empty: no passage below or beside it is a candidate.
        order = [
            row for row in np.argsort(-expected, kind="stable") if expected[row] > expected[-1]
        ]
        mine = rows.filter(pc.equal(rows["query_id"], f"q{number}"))
        assert mine["passage_id"].to_pylist() == [f"p{row}" for row in order[:depth]]
        np.testing.assert_array_equal(mine["score"].to_numpy(), expected[order[:depth]])


@pytest.mark.parametrize("method", ["lucene", "bm25+"])
def test_an_index_comes_back_from_its_folder_without_pickle(
    tables, tmp_path: Path, method: str
) -> None:
    config = Bm25(method=method, language="german")
    index = build_word_index([["Die roten Füchse", "Ein Wal und der Fuchs"]], config)
    write_word_index(index, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy", ".json"}
    for path in tmp_path.glob("*.npy"):
        np.load(path, allow_pickle=False)
    table, ids = queries(tables, "der rote Fuchs"), pa.array(["a", "b"])
    read = read_word_index(tmp_path)
    assert found(read, table, ids).equals(found(index, table, ids))
    assert found(read, table, ids)["passage_id"].to_pylist() == ["a", "b"]


def test_the_same_corpus_makes_the_same_files_however_it_is_cut(tmp_path: Path) -> None:
    for name, batches in (("one", [PASSAGES]), ("two", [PASSAGES[:3], PASSAGES[3:]])):
        (tmp_path / name).mkdir()
        write_word_index(build_word_index(batches, Bm25()), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_words_are_lower_case_stems_without_stop_words() -> None:
    words = word_splitter("english")
    assert words("The Foxes were RUNNING to a C-major 42nd") == [
        "fox", "were", "run", "c", "major", "42nd"
    ]  # fmt: skip
    assert word_splitter("german")("Die Häuser und der Wal") == ["haus", "wal"]
    assert word_splitter(None)("The Foxes") == ["the", "foxes"]


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    words = word_splitter(None)
    assert words("E\u0301te\u0301") == words("été") == ["été"]
    assert words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_an_unknown_language_is_refused_with_those_known() -> None:
    check_language(None)
    check_language("finnish")
    assert {"english", "german", "arabic"} <= set(known_languages())
    with pytest.raises(InputError, match=r"first_stage\.bm25\.language = 'klingon': .*, english, "):
        check_language("klingon")
    with pytest.raises(InputError, match="klingon"):
        build_word_index([PASSAGES], Bm25(language="klingon"))


def test_a_corpus_without_words_and_a_variant_without_k1_are_refused() -> None:
    with pytest.raises(InputError, match="none of the 2 passages has a word"):
        build_word_index([["...", "the"]], Bm25())
    with pytest.raises(InputError, match=r"first_stage\.bm25\.k1 = 0"):
        build_word_index([PASSAGES], Bm25(k1=0, method="bm25+"))
