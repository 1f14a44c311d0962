"""What data came with: negatives as candidates that can be mined, and a teacher's scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.data.importing import Request
from strop.pipeline.errors import InputError
from strop.tasks.given import read_given_pool, read_given_scores
from strop.tasks.import_data import import_request
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


def test_given_scores_are_a_teacher_s_as_far_as_they_go(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    dataset = imported(place, tmp_path, pos_scores=[9.0], neg_scores=[1.0, 2.0])
    store = place.open()
    found = store.table(done(read_given_scores, place, dataset), "scores").to_pylist()
    grades = store.table(dataset, "qrels").to_pylist()
    positives = {(row["query_id"], row["passage_id"]) for row in grades}
    assert len(found) == 15
    for row in found:
        assert (row["score"] == 9.0) == ((row["query_id"], row["passage_id"]) in positives)
    partly = imported(place, tmp_path, pos_scores=[9.0], note="no scores of negatives")
    scores = store.table(done(read_given_scores, place, partly), "scores")
    assert scores["score"].to_pylist() == [9.0] * 5
    with pytest.raises(InputError, match=r"mining.teacher = 'given': dataset .* came without a"):
        done(read_given_scores, place, imported(place, tmp_path, a=1, b=2, c=3))
