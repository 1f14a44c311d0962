"""The stages of the first stage, as plain functions over a store of their own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import BiEncoder, Bm25, VectorIndex
from strop.pipeline.data.chunks import Chunking
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.tasks.build_index import build_index, check_index
from strop.tasks.encode import encode
from strop.tasks.fuse import fuse
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.import_run_file import import_run_file, read_run_file
from strop.tasks.index_words import index_words
from strop.tasks.retrieve import retrieve
from strop.tasks.retrieve_words import retrieve_words
from strop.tasks.stage import Place

RULE = SplitRule(dev_share=0.1, gate_share=0.5, seed=1)


def done(stage: Any, *arguments: Any, **options: Any) -> ArtifactRef:
    """The ref of a stage that runs without Prefect, made or reused."""
    result = stage.fn(*arguments, **options)
    return result if isinstance(result, ArtifactRef) else result.data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("first-stage") / "store", "tiny", "prepare")


@pytest.fixture(scope="module")
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture(scope="module")
def dataset(place: Place, beir_folder: Path) -> ArtifactRef:
    return done(import_request, place, beir_request(beir_folder, RULE))


@pytest.fixture(scope="module")
def vectors(place: Place, dataset: ArtifactRef, bi_encoder_folder: Path) -> ArtifactRef:
    encoder = BiEncoder(model=str(bi_encoder_folder), max_tokens=32)
    model = done(import_model, place, encoder.model)
    return done(encode, place, dataset, model, encoder)


@pytest.fixture(scope="module")
def dense(place: Place, dataset: ArtifactRef, vectors: ArtifactRef) -> ArtifactRef:
    return done(retrieve, place, dataset, vectors, 20)


@pytest.fixture(scope="module")
def by_words(place: Place, dataset: ArtifactRef) -> ArtifactRef:
    index = done(index_words, place, dataset, Bm25())
    return done(retrieve_words, place, dataset, index, 20)


def test_bm25_finds_the_passages_that_share_rare_words(store: Store, by_words: ArtifactRef) -> None:
    summary = store.manifest(by_words).summary
    assert min(summary["recall_ceiling"].values()) > 0.95
    candidates = store.table(by_words, "candidates")
    assert set(candidates["source"].to_pylist()) == {"bm25"}
    assert set(candidates["split"].to_pylist()) == {"train", "dev", "gate", "test"}
    assert candidates["rank"].to_numpy().max() <= 20
    assert candidates["score"].to_numpy().min() > 0


def test_another_setting_makes_another_index_and_the_same_one_is_found(
    place: Place, dataset: ArtifactRef, by_words: ArtifactRef
) -> None:
    index = done(index_words, place, dataset, Bm25())
    assert done(index_words, place, dataset, Bm25()).id == index.id
    assert done(retrieve_words, place, dataset, index, 20) == by_words
    for other in (Bm25(k1=0.9), Bm25(language=None)):
        assert done(index_words, place, dataset, other).digest != index.digest


def test_the_first_encoder_has_the_recipe_that_it_always_had(
    place: Place,
    store: Store,
    dataset: ArtifactRef,
    vectors: ArtifactRef,
    dense: ArtifactRef,
) -> None:
    assert store.manifest(dense).parameters == {"depth": 20}
    other = done(retrieve, place, dataset, vectors, 20, "small")
    assert other.id != dense.id
    found, theirs = (store.table(ref, "candidates") for ref in (dense, other))
    assert set(theirs["source"].to_pylist()) == {"small"}
    assert found.drop_columns("source").equals(theirs.drop_columns("source"))


def test_an_index_that_looks_at_all_finds_the_same_candidates(
    place: Place, store: Store, dataset: ArtifactRef, vectors: ArtifactRef, dense: ArtifactRef
) -> None:
    config = VectorIndex(type="ivf", lists=2, probes=2)
    index = done(build_index, place, vectors, config)
    found = done(retrieve, place, dataset, vectors, 20, index=index, config=config)
    assert found.id != dense.id
    assert store.manifest(found).summary["share_of_exact"] == 1.0
    columns = ["query_id", "passage_id", "rank"]
    ours, theirs = (store.table(ref, "candidates").select(columns) for ref in (found, dense))
    assert ours.equals(theirs)
    positives = [store.table(ref, "positives") for ref in (found, dense)]
    assert positives[0].equals(positives[1])
    # How it is searched makes other candidates of the same index.
    fewer = VectorIndex(type="ivf", lists=2, probes=1)
    assert done(build_index, place, vectors, fewer) == index
    assert done(retrieve, place, dataset, vectors, 20, index=index, config=fewer).id != found.id


def test_an_index_in_shards_is_built_and_searched(
    place: Place, store: Store, dataset: ArtifactRef, vectors: ArtifactRef, dense: ArtifactRef
) -> None:
    passages = store.manifest(dataset).summary["passages"]
    half = VectorIndex(type="ivf", lists=1).model_copy(update={"shard_passages": passages // 2})
    index = done(build_index, place, vectors, half)
    manifest = store.manifest(index)
    assert sorted(manifest.files) == ["index-00000.faiss", "index-00001.faiss"]
    assert manifest.summary["shards"] == 2
    assert manifest.summary["passages"] == passages
    found = done(retrieve, place, dataset, vectors, 20, index=index, config=half)
    columns = ["query_id", "passage_id", "rank"]
    ours, theirs = (store.table(ref, "candidates").select(columns) for ref in (found, dense))
    assert ours.equals(theirs)


def test_product_codes_of_a_small_corpus_are_refused_before_any_work(
    store: Store, dataset: ArtifactRef
) -> None:
    with pytest.raises(
        InputError, match=r"first_stage\.index\.type = 'ivf_pq': the corpus has \d+"
    ):
        check_index(store, dataset, VectorIndex(type="ivf_pq"))
    with pytest.raises(InputError, match=r"a shard has \d+ passages.* or more passages a shard$"):
        check_index(store, dataset, VectorIndex(type="ivf_pq", shard_passages=1_000))


def test_fusion_takes_both_lists_and_scores_every_positive(
    place: Place, store: Store, dataset: ArtifactRef, dense: ArtifactRef, by_words: ArtifactRef
) -> None:
    lists = {"dense": dense, "bm25": by_words}
    fused = done(fuse, place, dataset, lists, constant=60, depth=10)
    candidates = store.table(fused, "candidates")
    counts = candidates.group_by("query_id").aggregate([("rank", "max"), ("rank", "count")])
    assert set(counts["rank_max"].to_pylist()) == {10}
    assert counts["rank_max"].equals(counts["rank_count"].cast("int32"))
    positives = [store.table(ref, "positives") for ref in (fused, dense)]
    pairs = [sorted(zip(*t.select([0, 1]).to_pydict().values(), strict=True)) for t in positives]
    assert pairs[0] == pairs[1]
    assert done(fuse, place, dataset, lists, constant=10, depth=10).id != fused.id


def test_a_run_file_is_a_root_by_its_content(
    place: Place, store: Store, dataset: ArtifactRef, tmp_path: Path
) -> None:
    text = "dev-0 Q0 p3 1 2.5 x\ndev-0 Q0 p9 2 9 x\ntrain-1 Q0 p3 1 1 x\n"
    for name in ("my.run", "same.run"):
        (tmp_path / name).write_text(text)
    roots = [done(import_run_file, place, tmp_path / name) for name in ("my.run", "same.run")]
    assert roots[0] == roots[1]
    assert store.manifest(roots[0]).inputs == {}
    found = done(read_run_file, place, dataset, roots[0], tmp_path / "my.run", 1)
    rows = store.table(found, "candidates").select(["query_id", "passage_id", "rank"])
    assert sorted(tuple(row.values()) for row in rows.to_pylist()) == [
        ("dev-0", "p9", 1),
        ("train-1", "p3", 1),
    ]
    (tmp_path / "my.run").write_text(text + "dev-1 Q0 p3 1 1 x\n")
    assert done(import_run_file, place, tmp_path / "my.run").id != roots[0].id


def test_a_run_of_another_data_set_is_refused_and_leaves_nothing(
    place: Place, store: Store, dataset: ArtifactRef, tmp_path: Path
) -> None:
    path = tmp_path / "my.run"
    path.write_text("query-id\tpassage-id\tscore\ndev-0\tp3\t2\ndev-0\tD77\t1\n")
    run_file, before = done(import_run_file, place, path), len(store.artifacts())
    with pytest.raises(InputError, match=r"my\.run line 3: passage 'D77' is not in the data set"):
        done(read_run_file, place, dataset, run_file, path, 5)
    assert len(store.artifacts()) == before
    with pytest.raises(InputError, match=r"none\.run: cannot be read"):
        done(import_run_file, place, tmp_path / "none.run")


def test_a_run_of_documents_is_refused_as_a_pool_naming_a_chunk(
    tmp_path: Path, beir_folder: Path
) -> None:
    place, path = Place(tmp_path / "store", "tiny", "prepare"), tmp_path / "my.run"
    request = replace(beir_request(beir_folder, RULE), chunking=Chunking(12, 3))
    dataset = done(import_request, place, request)
    path.write_text("dev-0 Q0 p3#1 1 2 x\ndev-0 Q0 p3 2 1 x\n")
    run_file = done(import_run_file, place, path)
    line = r"my\.run line 2: 'p3' is a document that was cut into chunks, .* such as 'p3#1'"
    with pytest.raises(InputError, match=line):
        done(read_run_file, place, dataset, run_file, path, 5)


def test_nothing_of_the_word_index_is_pickled(
    place: Place, store: Store, dataset: ArtifactRef
) -> None:
    index = done(index_words, place, dataset, Bm25())
    assert {Path(name).suffix for name in store.manifest(index).files} == {".npy", ".json"}
    assert json.loads((store.folder(index) / "language.json").read_text()) == {
        "language": "english"
    }
