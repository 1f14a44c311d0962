"""A corpus that changes a little: a new version that knows the old one and reuses its work."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts import pins
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import BiEncoder, Reranker
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.data.versions import corpus_changes
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.reuse import DIGEST, Earlier, Reuse, _fixed_width, text_digests
from strop.tasks.encode import encode
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise
from strop.tasks.passage_vectors import PassageVectors
from strop.tasks.stage import Place
from strop.tasks.tokenize import tokenize
from tests.world import tiny_beir

PASSAGES, CHANGED = 400, 4


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


def grow(folder: Path) -> None:
    """Change 1 % of the texts, add a passage before all others, and remove the last one."""
    path = folder / "corpus.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records[10 : 10 + CHANGED - 1]:
        record["text"] += " changed"
    added = {"_id": "added", "title": "", "text": "a passage that is new"}
    judged = (folder / "qrels" / "train.tsv").read_text()
    last = next(n for n in range(PASSAGES - 1, 0, -1) if f"\tp{n}\t" not in judged)
    kept = [record for record in records if record["_id"] != f"p{last}"]
    path.write_text("".join(json.dumps(record) + "\n" for record in [added, *kept]))


class World:
    def __init__(self, folder: Path, bi_encoder: Path) -> None:
        self.folder, self.data = (
            folder,
            tiny_beir(folder / "data", passages=PASSAGES, test=0, seed=5),
        )
        self.encoder = BiEncoder(model=str(bi_encoder), max_tokens=32, shard_passages=64)
        self.reranker = Reranker(base=str(bi_encoder), max_tokens=32, max_query_tokens=12)

    def prepare(self, store: str) -> tuple[Store, ArtifactRef, ArtifactRef, ArtifactRef]:
        place = Place(self.folder / store, "tiny", "prepare")
        dataset = done(import_request, place, beir_request(self.data, SplitRule()))
        model = done(import_model, place, self.encoder.model)
        reranker = done(initialise, place, model, self.reranker, 1)
        embeddings = done(encode, place, dataset, model, self.encoder)
        return (
            place.open(),
            dataset,
            embeddings,
            done(tokenize, place, dataset, reranker, self.reranker),
        )


def vectors(store: Store, embeddings: ArtifactRef) -> Any:

    return np.concatenate(list(PassageVectors(store, embeddings).blocks()))


def test_one_percent_changed_passages_are_one_percent_of_the_work(
    tmp_path: Path, bi_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, bi_encoder_folder)
    _, first, *_ = world.prepare("store")
    grow(world.data)
    counted, plain = [], Encoder.encode

    def counting(self: Any, texts: Any, **options: Any) -> Any:
        counted.append(len(texts))
        return plain(self, texts, **options)

    monkeypatch.setattr(Encoder, "encode", counting)
    store, dataset, embeddings, tokens = world.prepare("store")
    assert sum(counted) == CHANGED <= 0.015 * PASSAGES
    about = store.manifest(dataset).summary
    assert about["previous"] == first.id
    assert about["passages_since"] == {"same": 396, "changed": 3, "new": 1, "removed": 1}
    for ref in (embeddings, tokens):
        summary = store.manifest(ref).summary
        assert (summary["new_passages"], summary["reused_passages"]) == (CHANGED, 396)
        assert (summary["new_queries"], summary["reused_queries"]) == (0, 60)
        assert store.manifest(ref).inputs["dataset"] == dataset

    fresh, _, embedded, tokenized = world.prepare("another store")
    assert sum(counted) == CHANGED + PASSAGES + 60
    assert "reused_from" not in fresh.manifest(embedded).summary
    np.testing.assert_allclose(vectors(store, embeddings), vectors(fresh, embedded), atol=1e-6)
    for name in ("passages", "queries"):
        assert store.table(tokens, name).equals(fresh.table(tokenized, name))
    assert store.manifest(tokens).digest == fresh.manifest(tokenized).digest


def test_data_of_another_source_between_two_versions_cost_nothing_anew(
    tmp_path: Path, bi_encoder_folder: Path
) -> None:
    world = World(tmp_path, bi_encoder_folder)
    world.prepare("store")
    other = World(tmp_path / "other", bi_encoder_folder)
    path = other.data / "corpus.jsonl"
    path.write_text(path.read_text().replace('"text": "', '"text": "another '))
    other.folder = world.folder
    other.prepare("store")
    grow(world.data)
    store, _, *made = world.prepare("store")
    for ref in made:
        assert store.manifest(ref).summary["new_passages"] == CHANGED


def test_earlier_versions_are_pinned_while_they_are_read(
    tmp_path: Path, bi_encoder_folder: Path
) -> None:
    """Made by a process that has ended, they could be collected from under this one."""
    world = World(tmp_path, bi_encoder_folder)
    store, *first = world.prepare("store")
    for ref in first:
        pins.unpin(store.root, ref.kind, ref.id)
    grow(world.data)
    place = Place(str(store.root), "tiny", "prepare")
    done(import_request, place, beir_request(world.data, SplitRule()))
    assert ("dataset", first[0].id) in pins.pinned(store.root)
    world.prepare("store")
    assert {(ref.kind, ref.id) for ref in first} <= pins.pinned(store.root)


def test_another_encoder_or_prompt_reuses_nothing(tmp_path: Path, bi_encoder_folder: Path) -> None:
    world = World(tmp_path, bi_encoder_folder)
    world.prepare("store")
    grow(world.data)
    world.encoder = world.encoder.model_copy(update={"passage_prompt": "passage: "})
    store, _, embeddings, _ = world.prepare("store")
    assert "reused_passages" not in store.manifest(embeddings).summary


def test_values_come_back_in_the_order_of_the_texts() -> None:
    old = ["a", "b", "c", "d", "e"]
    chunks = [pa.array([10, 11]), pa.array([12, 13]), pa.array([14])]
    reuse = Reuse(Earlier(text_digests(old), 2, chunks.__getitem__))
    found = reuse.values(["x", "e", "a", "y", "d", "a"], lambda texts: pa.array([len(texts), 99]))
    assert found.to_pylist() == [2, 14, 10, 99, 13, 10]
    assert (reuse.made, reuse.reused) == (2, 4)
    assert Reuse(None).values(["x"], lambda texts: pa.array([7])).to_pylist() == [7]


def test_earlier_rows_are_found_as_a_search_one_by_one_finds_them() -> None:
    """Of texts that are there twice the first row; in chunks, slices and nothing at all."""
    old = [f"text {number % 700}" for number in range(1000)]
    wanted = [f"text {number}" for number in range(0, 1400, 3)]
    digests = text_digests(old)
    chunked = pa.chunked_array([digests[:300], digests[300:300], digests[300:]])
    for held in (digests, chunked):
        found = Earlier(held, 100, pa.nulls).find(wanted)
        assert found.tolist() == [old.index(text) if text in old else -1 for text in wanted]
    nothing = Earlier(pa.chunked_array([], digests.type), 1, pa.nulls)
    assert nothing.find(["text 1"]).tolist() == [-1]
    assert nothing.find([]).tolist() == []


def test_digests_are_told_apart_by_zeros_at_their_ends() -> None:
    ends = pa.array([bytes(15) + b"\1", bytes(16), b"\1" + bytes(15)], DIGEST)
    fixed = _fixed_width(ends)
    assert len(set(fixed.tolist())) == 3
    assert np.argsort(fixed).tolist() == [1, 0, 2]


def test_other_data_under_the_same_name_are_no_version() -> None:
    def corpus(*ids: str) -> list[pa.Table]:
        return [pa.table({"passage_id": ids, "title": [""] * len(ids), "text": ids})]

    assert corpus_changes(corpus("a", "b", "c"), corpus("a", "x", "y")) is None
    found = corpus_changes(corpus("a", "b", "c"), corpus("b", "c", "d"))
    assert found == {"same": 2, "changed": 0, "new": 1, "removed": 1}
