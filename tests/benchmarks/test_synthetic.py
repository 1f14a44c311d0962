"""Synthetic corpora: planted answers are where the files say, and a seed gives its bytes."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import synthetic
from benchmarks.synthetic import World, main, write
from strop.pipeline.data.importing import Request, import_files

WORLD = World(passages=3000, queries=200, seed=5, relevant=2, false_negatives=1, near_misses=2)
Pairs = set[tuple[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "data"
    write(WORLD, out)
    return out


def texts(path: Path) -> dict[str, str]:
    rows = map(json.loads, path.read_text().splitlines())
    return {row["_id"]: row["text"] for row in rows}


def pairs(*paths: Path) -> Pairs:
    rows = [line.split("\t") for path in paths for line in path.read_text().splitlines()[1:]]
    return {(query, passage) for query, passage, _ in rows}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_exactly_the_answers_hold_all_words_of_a_topic(folder: Path) -> None:
    passages, queries = texts(folder / "corpus.jsonl"), texts(folder / "queries.jsonl")
    assert (len(passages), len(queries)) == (3000, 200)
    words = {passage: set(text.split()) for passage, text in passages.items()}
    found = {
        (query, passage)
        for query, text in queries.items()
        for passage, held in words.items()
        if held.issuperset(text.split()[1:-1])
    }
    labelled = pairs(*(folder / "qrels").iterdir())
    hidden = pairs(folder / "false_negatives.tsv")
    assert labelled | hidden == found
    assert not labelled & hidden
    assert Counter(query for query, _ in labelled) == dict.fromkeys(queries, 2)
    assert Counter(query for query, _ in hidden) == dict.fromkeys(queries, 1)


def test_near_misses_hold_half_of_a_topic(folder: Path) -> None:
    passages, queries = texts(folder / "corpus.jsonl"), texts(folder / "queries.jsonl")
    words = [set(text.split()) for text in passages.values()]
    topics = [set(text.split()[1:-1]) for text in queries.values()]
    halves = [sum(len(topic & held) == 2 for held in words) for topic in topics]
    assert min(halves) >= 2
    assert sum(halves) < 3 * len(topics)


def test_a_seed_gives_its_bytes_whatever_the_blocks_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(WORLD, tmp_path / "again")
    assert all_bytes(tmp_path / "again") == all_bytes(folder)
    write(World(3000, 200, seed=6, relevant=2), tmp_path / "other")
    assert texts(tmp_path / "other" / "corpus.jsonl") != texts(folder / "corpus.jsonl")
    monkeypatch.setattr(synthetic, "BLOCK", 7)
    small = World(passages=40, queries=5)
    write(small, tmp_path / "small")
    assert len(texts(tmp_path / "small" / "corpus.jsonl")) == 40
    assert len(pairs(*(tmp_path / "small" / "qrels").iterdir())) == 5


def test_words_follow_zipfs_law(folder: Path) -> None:
    counts = Counter(" ".join(texts(folder / "corpus.jsonl").values()).split())
    first, *_ = (count for _, count in counts.most_common(1))
    vocabulary = synthetic.words(WORLD.vocabulary).to_pylist()
    assert len(set(vocabulary)) == WORLD.vocabulary
    for rank in (2, 5, 10, 50):
        assert counts[vocabulary[rank - 1]] == pytest.approx(first / rank, rel=0.3)


def test_strop_reads_it_without_a_complaint(folder: Path) -> None:
    rows: list[int] = []
    found = import_files(
        Request.checked("beir", str(folder), [], {}),
        write_corpus=lambda table: rows.append(table.num_rows),
    )
    assert sum(rows) == 3000
    assert found.queries.num_rows == 200
    assert found.qrels.num_rows == 400


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--passages", "10", "--queries", "3"], "expected 12 at least"),
        (["--passages", "-5", "--queries", "3"], "--passages = -5: expected 1 at least"),
        (["--passages", "99", "--queries", "3", "--exponent", "0"], "--exponent = 0: expected"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main([str(tmp_path / "out"), *arguments]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = all_bytes(folder)
    assert main([str(folder), "--passages", "40", "--queries", "5"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert all_bytes(folder) == before
