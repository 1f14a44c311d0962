"""A run file's ranking as a stage over a store of its own."""

from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.config import Bm25
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("test-0 Q0 D77 1 2 x", r"bad\.run line 2: passage 'D77' is not in the data set"),
        ("test-77 Q0 p3 1 2 x", r"bad\.run line 2: query 'test-77' is not in the data set"),
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
