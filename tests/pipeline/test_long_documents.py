"""Long documents: cut into chunks, judged whole, ranked like their best chunk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.artifacts.schemas import DOCUMENTS, QRELS, SCORES
from strop.pipeline.data.chunks import WORD, Chunking
from strop.pipeline.data.document_map import DocumentMap
from strop.pipeline.data.importing import Request, import_files
from strop.pipeline.data.validation import InvalidData
from strop.pipeline.evaluation.max_passage import rank_documents
from strop.pipeline.evaluation.ranking import build_ranking

RULE = {"dev_share": 0.5, "gate_share": 0.0}


def test_chunks_overlap_and_the_last_one_is_whole() -> None:
    text = "one two  three\nfour five six seven"
    assert Chunking(3, 1).cut(text) == ["one two  three", "three\nfour five", "five six seven"]
    assert Chunking(3).cut(text) == ["one two  three", "four five six", "five six seven"]
    assert Chunking(7).cut(text) == [text]
    assert Chunking(4).cut("") == [""]


def test_characters_count_as_words_where_words_have_no_spaces() -> None:
    assert Chunking(4).cut("東京は日本の首都 Tokyo") == ["東京は日", "本の首都", "の首都 Tokyo"]
    assert [len(part) for part in Chunking(10, 2).cut("x" * 1000)] == [400, 400, 400]


TEXTS = st.text(st.sampled_from("ab 東\u3000\n,é🙂"), max_size=60)


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, words=st.integers(1, 8), overlap=st.integers(0, 7))
def test_chunks_are_parts_of_the_text_and_leave_no_word_out(
    text: str, words: int, overlap: int
) -> None:
    chunking = Chunking(words, min(overlap, words - 1))
    chunks, every = chunking.cut(text), WORD.findall(text)
    assert all(chunk in text for chunk in chunks)
    assert WORD.findall(chunks[-1]) == every[-words:]
    step = words - chunking.overlap
    for number, chunk in enumerate(chunks[:-1]):
        assert WORD.findall(chunk) == every[number * step : number * step + words]
    assert (len(chunks) - 1) * step >= len(every) - words


def documents(*rows: tuple[str, str]) -> DocumentMap:
    ids, parents = zip(*rows, strict=True)
    return DocumentMap(pa.table([ids, parents], schema=DOCUMENTS))


MAP = documents(("a#1", "a"), ("a#2", "a"), ("a#3", "a"), ("b#1", "b"), ("b#2", "b"))


def test_a_document_ranks_like_its_best_chunk(tables: Any) -> None:
    found = tables.candidates({"q": ["a#2", "b#1", "c", "a#1", "b#2", "d"]})
    # The reranker scores the first five; a's best is its second chunk found, b's its last.
    ranking = build_ranking(found, np.array([1.0, 0.0, 2.5, 2.0, 3.0], np.float32), 5)
    rows = rank_documents(ranking, MAP).to_pylist()
    wanted = {
        "a": (3, 2.0, 1, 10.0),
        "b": (1, 3.0, 2, 9.0),
        "c": (2, 2.5, 3, 8.0),
        "d": (4, None, 6, 5.0),
    }
    columns = ("rank", "score", "first_stage_rank", "first_stage_score")
    assert {row["passage_id"]: tuple(row[name] for name in columns) for row in rows} == wanted
    assert rank_documents(ranking, DocumentMap.none()) is ranking


def test_judgements_are_of_every_chunk_and_positives_their_best_one() -> None:
    qrels = pa.table(
        [["q", "q", "r"], ["a", "c", "b"], pa.array([2, 1, 0], pa.int32()), ["dev"] * 3],
        names=QRELS.names,
    ).cast(QRELS)
    rows = [tuple(row.values())[:3] for row in MAP.passages_of(qrels).to_pylist()]
    assert rows == [
        ("q", "a#1", 2),
        ("q", "a#2", 2),
        ("q", "a#3", 2),
        ("q", "c", 1),
        ("r", "b#1", 0),
        ("r", "b#2", 0),
    ]
    scores = pa.table(
        [["q"] * 4, ["a#1", "a#2", "a#3", "c"], pa.array([1, 3, 3, 0], pa.float32())], schema=SCORES
    )
    assert MAP.best_passages(scores)["passage_id"].to_pylist() == ["a#2", "c"]


def write(path: Path, records: list[Any]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def beir(folder: Path, corpus: list[Any], judged: list[str]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    write(folder / "corpus.jsonl", corpus)
    queries = [{"_id": f"q{n}", "text": f"{word} ?"} for n, word in enumerate("abcd")]
    write(folder / "queries.jsonl", queries)
    lines = [f"q{n}\t{passage}\t1" for n, passage in enumerate(judged)]
    (folder / "qrels" / "train.tsv").write_text("\n".join(lines) + "\n")
    return folder


WORDS = " ".join(f"w{n}" for n in range(20))


def imported(folder: Path, *columns: str, chunks: tuple[int, int] | None = None) -> Any:
    batches: list[pa.Table] = []
    request = Request.checked("beir", str(folder), list(columns), RULE, chunks)
    return import_files(request, write_corpus=batches.append), pa.concat_tables(batches)


def test_long_passages_are_cut_and_short_ones_keep_their_id(tmp_path: Path) -> None:
    corpus = [{"_id": "long", "title": "t", "text": WORDS}, {"_id": "short", "text": "w0 w1"}]
    folder = beir(tmp_path / "data", corpus, ["long", "short", "long", "short"])
    found, rows = imported(folder, chunks=(8, 2))
    assert rows["passage_id"].to_pylist() == ["long#1", "long#2", "long#3", "short"]
    assert rows["parent_id"].to_pylist() == ["long", "long", "long", None]
    assert rows["title"].to_pylist() == ["t", "t", "t", ""]
    assert rows["text"][1].as_py() == "w6 w7 w8 w9 w10 w11 w12 w13"
    assert rows["text"][2].as_py() == "w12 w13 w14 w15 w16 w17 w18 w19"
    assert found.judges_documents
    summary = {name: found.summary[name] for name in ("passages", "documents", "documents_cut")}
    assert summary == {"passages": 4, "documents": 2, "documents_cut": 1}


def test_a_corpus_may_come_in_chunks(tmp_path: Path) -> None:
    corpus = [
        {"_id": f"{doc}-{n}", "text": f"{doc} {n}", "doc": doc} for doc in "xy" for n in (1, 2)
    ]
    found, _ = imported(beir(tmp_path / "whole", corpus, list("xyxy")), "parent_id=doc")
    assert (found.judges_documents, found.summary["documents"]) == (True, 2)
    chunks = beir(tmp_path / "chunks", corpus, ["x-1", "x-2", "y-1", "y-2"])
    found, _ = imported(chunks, "parent_id=doc")
    assert not found.judges_documents
    assert "documents" not in found.summary


@pytest.mark.parametrize(
    ("judged", "columns", "chunks", "words"),
    [
        (["x", "y-1", "x", "y"], ["parent_id=doc"], None, "train.tsv line 2: judges a passage of"),
        (["x", "y", "z", "y"], ["parent_id=doc"], None, "passage 'z' is not in the corpus"),
        (["x-1"] * 4, ["parent_id=doc"], (8, 0), "was cut from document 'x' already"),
    ],
)
def test_what_fits_no_documents_is_refused(
    tmp_path: Path, judged: list[str], columns: list[str], chunks: Any, words: str
) -> None:
    corpus = [
        {"_id": f"{doc}-{n}", "text": f"{doc} {WORDS}", "doc": doc} for doc in "xy" for n in (1, 2)
    ]
    with pytest.raises(InvalidData, match=words):
        imported(beir(tmp_path / "data", corpus, judged), *columns, chunks=chunks)


def test_negatives_of_whole_passages_are_refused_beside_chunks(tmp_path: Path) -> None:
    rows = [{"query": word, "pos": [f"{word} {WORDS}"], "neg": ["no"]} for word in "abcd"]
    write(tmp_path / "train.jsonl", rows)
    request = Request.checked("flagembedding", str(tmp_path), [], RULE, (8, 0))
    with pytest.raises(InvalidData, match="4 candidates or scores that came with the data"):
        import_files(request, write_corpus=lambda table: None)
