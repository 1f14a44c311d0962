"""Negatives that the data came with, as candidates that can be mined."""

import json
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.data.importing import Request
from strop.pipeline.errors import InputError
from strop.tasks.import_data import import_request
from strop.tasks.import_run_file import read_given_pool
from strop.tasks.stage import Place

RULE = {"dev_share": 0.4, "gate_share": 0.5}


def done(stage: Any, *arguments: Any) -> ArtifactRef:
    result = stage.fn(*arguments)
    return result if isinstance(result, ArtifactRef) else result.data


def imported(place: Place, folder: Path, **more: Any) -> ArtifactRef:
    words = ("ash", "bog", "cow", "dew", "elm")
    records = [
        {"query": f"what is {word}", "pos": [f"{word} is"], "neg": [f"{word} no", "none"], **more}
        for word in words
    ]
    path = folder / f"{len(more)}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return done(import_request, place, Request.checked("flagembedding", str(path), [], RULE))


def test_given_negatives_are_candidates_down_to_a_depth_by_their_score(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    dataset = imported(place, tmp_path, pos_scores=[9.0], neg_scores=[1.0, 2.0])
    store = place.open()
    found = store.table(done(read_given_pool, place, dataset, 2), "candidates")
    corpus = store.table(dataset, "corpus")
    columns = (corpus[name].to_pylist() for name in ("passage_id", "text"))
    texts = dict(zip(*columns, strict=True))
    rows = [(texts[row["passage_id"]], row["rank"], row["score"]) for row in found.to_pylist()]
    assert len(rows) == 10
    assert sorted(rows[:2]) == sorted([(rows[0][0], 1, 9.0), ("none", 2, 2.0)])
    positives = store.table(done(read_given_pool, place, dataset, 2), "positives")
    assert positives["score"].to_pylist() == [9.0] * 5


def test_data_without_negatives_offer_no_pool(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    dataset = imported(place, tmp_path, neg=None)
    with pytest.raises(InputError, match=r"'given': dataset .* came without negatives"):
        done(read_given_pool, place, dataset, 2)
