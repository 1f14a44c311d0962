"""A run file's ranking as a stage over a store of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.config import Bm25
from strop.pipeline.data.chunks import Chunking
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_run_file import import_run_file
from strop.tasks.index_words import index_words
from strop.tasks.rank_run_file import rank_run_file
from strop.tasks.retrieve_words import retrieve_words
from strop.tasks.stage import Place


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, beir_folder: Path
) -> tuple[Place, ArtifactRef, ArtifactRef]:
    place = Place(tmp_path_factory.mktemp("runs") / "store", "tiny", "compare")
    dataset = done(import_request, place, beir_request(beir_folder, SplitRule()))
    index = done(index_words, place, dataset, Bm25())
    return place, dataset, done(retrieve_words, place, dataset, index, 5)


def ranked(shared: tuple[Place, ArtifactRef, ArtifactRef], path: Path, text: str) -> ArtifactRef:
    place, dataset, candidates = shared
    path.write_text(text)
    run_file = done(import_run_file, place, path)
    return done(rank_run_file, place, dataset, candidates, run_file, path, "test")


def test_a_split_s_candidates_are_ranked_and_the_rest_is_counted(shared, tmp_path: Path) -> None:
    store = shared[0].open()
    rows = store.table(shared[2], "candidates").to_pylist()
    ours = [row["passage_id"] for row in rows if row["query_id"] == "test-0"]
    other = next(f"p{n}" for n in range(120) if f"p{n}" not in ours)
    lines = [f"test-0 Q0 {passage} 1 {n} x\n" for n, passage in enumerate([*ours, other])]
    made = ranked(shared, tmp_path / "my.run", "".join([*lines, "dev-0 Q0 p1 1 1 x\n"]))
    table = store.table(made, "ranking")
    assert table["passage_id"].to_pylist() == ours[::-1]
    assert set(table["split"].to_pylist()) == {"test"}
    summary = store.manifest(made).summary
    assert summary == {
        "split": "test", "queries": 1, "rows": len(ours), "rows_of_no_candidate": 1,
    }  # fmt: skip


def test_a_run_may_rank_the_documents_that_passages_were_cut_from(
    tmp_path: Path, beir_folder: Path
) -> None:
    place = Place(tmp_path / "store", "tiny", "compare")
    request = replace(beir_request(beir_folder, SplitRule()), chunking=Chunking(12, 3))
    dataset = done(import_request, place, request)
    index = done(index_words, place, dataset, Bm25())
    candidates = done(retrieve_words, place, dataset, index, 20)
    store = place.open()
    rows = [
        row
        for row in store.table(candidates, "candidates").to_pylist()
        if row["query_id"] == "test-0"
    ]
    found = list(dict.fromkeys(row["passage_id"].partition("#")[0] for row in rows))
    assert len(found) < len(rows)
    # The worst document first, then, by one of its chunks, the best.
    lines = [f"test-0 Q0 {found[-1]} 1 9 x\n", f"test-0 Q0 {rows[0]['passage_id']} 2 8 x\n"]
    made = ranked((place, dataset, candidates), tmp_path / "my.run", "".join(lines))
    table = store.table(made, "ranking")
    assert table["passage_id"].to_pylist() == [found[-1], found[0]]
    qrels, positives = store.table(dataset, "qrels"), store.table(candidates, "positives")
    assert positives.num_rows == qrels.num_rows
    texts = store.table(dataset, "corpus")["passage_id"].to_pylist()
    assert set(positives["passage_id"].to_pylist()) <= set(texts)
    ceiling = store.manifest(candidates).summary["recall_ceiling"]["test"]
    judged = {
        (row["query_id"], row["passage_id"]) for row in qrels.to_pylist() if row["split"] == "test"
    }
    every = store.table(candidates, "candidates").to_pylist()
    hit = {(row["query_id"], row["passage_id"].partition("#")[0]) for row in every} & judged
    assert ceiling == pytest.approx(len(hit) / len(judged), abs=1e-4)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("test-0 Q0 D77 1 2 x", r"bad\.run line 2: passage 'D77' is not in the data set"),
        ("test-77 Q0 p3 1 2 x", r"bad\.run: ranks none of the candidates of the test queries"),
        ("train-0 Q0 p4 1 2 x", r"bad\.run: ranks none of the candidates of the test queries"),
    ],
)
def test_a_run_of_something_else_is_refused_and_leaves_nothing(
    shared, tmp_path: Path, line: str, words: str
) -> None:
    store = shared[0].open()
    before = len(store.artifacts("ranking"))
    with pytest.raises(InputError, match=words):
        ranked(shared, tmp_path / "bad.run", f"train-0 Q0 p3 1 2 x\n{line}\n")
    assert len(store.artifacts("ranking")) == before
