"""Near duplicates of positives: which are told of, with file and line, and which are not."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from strop.flows.check_data import check_data, data_request
from strop.pipeline.data import like_passages as like_passages_file
from strop.pipeline.data.keys import keys
from strop.pipeline.data.like_passages import like_passages
from strop.pipeline.data.passage_sketches import COMPARED, sketches
from strop.pipeline.data.sketched_corpus import SketchedCorpus

RANDOM = np.random.default_rng(3)
WORDS = [f"word{number}" for number in range(400)]
KIND = "positive with a near duplicate"


def text(length: int = 40) -> list[str]:
    return RANDOM.choice(WORDS, length, replace=False).tolist()


def table(texts: dict[str, str]) -> pa.Table:
    columns = [list(texts), [""] * len(texts), list(texts.values())]
    return pa.table(columns, names=["passage_id", "title", "text"])


def like(corpus: pa.Table, positive_ids: list[str], batch: int = 50) -> Any:
    """Near duplicates in a corpus that comes in batches; no text is read but of pairs."""
    with tempfile.TemporaryFile() as file:
        sketched = SketchedCorpus(file)
        for start in range(0, corpus.num_rows, batch):
            some = corpus.slice(start, batch)
            sketched.add(keys(some["passage_id"].to_pylist()), some)
        return like_passages(sketched, corpus.take, positive_ids)


def check(folder: Path, passages: dict[str, str], train: list[str]) -> list[dict[str, object]]:
    (folder / "qrels").mkdir()
    corpus = [json.dumps({"_id": key, "text": value}) for key, value in passages.items()]
    queries = [json.dumps({"_id": f"q{n}", "text": f"about thing{n}"}) for n in range(4)]
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (folder / "qrels" / "train.tsv").write_text("\n".join(train), encoding="utf-8")
    (folder / "qrels" / "dev.tsv").write_text("q3\tother\t1\n", encoding="utf-8")
    request = data_request("beir", str(folder), columns=[], rule={})
    _, report, _ = check_data(request)
    return [problem for problem in report if problem["kind"] == KIND]


def test_a_positive_with_a_near_duplicate_is_told_of_with_file_and_line(tmp_path: Path) -> None:
    words = text()
    passages = {
        "good": " ".join(words),
        "near": " ".join(["Another", *words[1:]]),  # 39 words of 41 in common
        "same": " ".join(words),  # has a warning of its own
        "less near": " ".join([*words[:36], "four", "words", "of", "it"]),  # 36 of 44
        "other": " ".join(text()),
    }
    (problem,) = check(tmp_path, passages, ["q0\tgood\t1", "q1\tgood\t1", "q1\tnear\t0"])
    assert (problem["severity"], problem["count"]) == ("warning", 1)  # q1 has judged both
    assert problem["examples"] == [
        f"{tmp_path}/qrels/train.tsv line 1: positive 'good' has 95% of its words in common with "
        "passage 'near', which query 'q0' has no grade for; judge both, or keep one"
    ]


def test_data_without_near_duplicates_have_no_such_warning(tmp_path: Path) -> None:
    passages = {name: " ".join(text()) for name in ("good", "more", "other")}
    assert check(tmp_path, passages, ["q0\tgood\t1", "q1\tmore\t1"]) == []


def test_nearly_all_near_duplicates_are_found_in_a_corpus_of_many_batches() -> None:
    texts = {f"p{n}": text() for n in range(300)}
    near = {f"near {key}": [*words[:20], "new", *words[21:]] for key, words in texts.items()}
    corpus = table({key: " ".join(words) for key, words in (texts | near).items()})
    found = like(corpus, list(texts))
    right = [key for key, near in found.items() if near == [(f"near {key}", 39 / 41)]]
    assert len(right) >= 297
    assert sum(map(len, found.values())) == len(right)


def test_scripts_without_spaces_case_and_punctuation_are_compared_by_words() -> None:
    passages = {
        "chinese": "再排序模型从自己的错误中学习并且在每一轮之后变得更加准确",
        "one letter more": "再排序模型从自己的错误中学习并且在每一轮之后变得更加准确了",
        "another first": "重排序模型从自己的错误中学习并且在每一轮之后变得更加准确",
        "shouted": "A RERANKER LEARNS: FROM ITS OWN MISTAKES, AND BECOMES BETTER",
        "plain": "a reranker learns from its own mistakes and becomes better",
        "blank": "…",
        "long": "word " * 10 + "x" * 10_000,
    }
    found = like(table(passages), ["chinese", "shouted", "blank", "long"])
    assert {key: [name for name, _ in near] for key, near in found.items() if near} == {
        "chinese": ["one letter more", "another first"],
        "shouted": ["plain"],
    }
    assert like(table(passages), ["nowhere"]) == {}


def test_the_start_of_a_long_text_is_its_sketch() -> None:
    start = " ".join(f"word{n}" for n in range(COMPARED))[:COMPARED]
    more = " ".join(f"new{n}" for n in range(COMPARED))
    texts = pa.array([start, f"{start} {more}", start[: COMPARED // 2]])
    whole, longer, half = sketches(pa.array([""] * 3), texts).tolist()
    assert whole == longer
    assert whole != half


def test_many_pairs_are_compared_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    words = text()
    near = [" ".join([*words[:n], f"new{n}", *words[n + 1 :]]) for n in range(30)]
    corpus = table({"good": " ".join(words)} | {f"near{n}": one for n, one in enumerate(near)})
    expected = like(corpus, ["good"])
    assert [name for name, _ in expected["good"]] == ["near0", "near1", "near2", "near3", "near4"]
    monkeypatch.setattr(like_passages_file, "AT_ONCE", 4)
    assert like(corpus, ["good"], batch=7) == expected
