"""A run over documents longer than a model reads: cut, mined and ranked by their chunks."""

import json

import pyarrow.parquet as pq
import pytest
from sentence_transformers import CrossEncoder

from tests.end_to_end.conftest import Project
from tests.world import tiny_beir, tiny_model

QUOTAS = {"reranker_hard": 0.5, "in_batch": 0.25, "random": 0.25}
CUT = 3


def lengthen(folder):
    """Put every third passage between others' words, so that it takes several chunks."""
    path = folder / "corpus.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for number in range(0, len(records), 3):
        around = [records[(number + step) % len(records)]["text"] for step in (1, 2)]
        records[number]["text"] = " ".join([around[0], records[number]["text"], around[1]])
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture(scope="module")
def world(server, materials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    tiny_model(folder / "head", seed=2, one_logit=True)
    (folder / "encoder").symlink_to(materials / "encoder")
    lengthen(tiny_beir(folder / "data", passages=60, train=30, dev=16, test=8, seed=4))
    project = Project(folder, server)
    config = project.config(
        rounds=1,
        data={"chunk_words": 16, "chunk_overlap": 4},
        reranker={"base": str(folder / "head"), "max_tokens": 40},
        mining={"cross_fit": False, "quotas": QUOTAS},
        training={"evaluate_every": 4},
        evaluation={"depths": [CUT]},
    )
    done = project.strop("run", config)
    assert done.returncode == 0, done.stderr
    return project, done


def table(project, kind, name, **wanted):
    for manifest in project.manifests().values():
        if manifest["kind"] == kind and wanted.items() <= manifest["summary"].items():
            folder = project.store / "objects" / kind / manifest["id"] / manifest["attempt"]
            return pq.read_table(folder / f"{name}.parquet").to_pylist(), manifest
    raise AssertionError(f"no {kind} with {wanted}")


def by_passage(project, column):
    rows, _ = table(project, "dataset", "corpus")
    return {row["passage_id"]: row[column] or row["passage_id"] for row in rows}


def test_a_document_ranks_and_is_measured_like_its_best_chunk(world):
    project, _ = world
    ranking, made = table(project, "ranking", "ranking", split="test")
    candidates, _ = table(project, "candidates", "candidates")
    corpus, _ = table(project, "dataset", "corpus")
    queries, about = table(project, "dataset", "queries")
    assert about["summary"]["documents"] == 60 < about["summary"]["passages"]
    texts = {row["passage_id"]: f"{row['title']} {row['text']}".strip() for row in corpus}
    asked = {row["query_id"]: row["text"] for row in queries if row["split"] == "test"}
    parents = by_passage(project, "parent_id")
    rows = [row for row in candidates if row["query_id"] in asked]
    scored = [row for row in rows if row["rank"] <= 8]
    reranker = made["inputs"]["reranker"]["id"]
    folder = next((project.store / "objects" / "reranker" / reranker).glob("*/config.json")).parent
    pairs = [(asked[row["query_id"]], texts[row["passage_id"]]) for row in scored]
    scores = CrossEncoder(str(folder)).predict(pairs, show_progress_bar=False)
    best = {}
    for row, score in zip(scored, scores, strict=True):
        pair = (row["query_id"], parents[row["passage_id"]])
        best[pair] = max(best.get(pair, -1e9), float(score))
    found = {(row["query_id"], row["passage_id"]): row["score"] for row in ranking}
    assert found.keys() == {(row["query_id"], parents[row["passage_id"]]) for row in rows}
    assert len(found) < len(rows)
    for pair, score in found.items():
        assert (score is None) == (pair not in best)
        assert score is None or score == pytest.approx(best[pair], abs=1e-4)
    assert measured(project, made) == by_hand(project, ranking)


def by_hand(project, ranking):
    """The reciprocal rank of every query: scored documents first."""
    qrels, _ = table(project, "dataset", "qrels")
    relevant = {(row["query_id"], row["passage_id"]) for row in qrels}
    found = {}
    for query in {row["query_id"] for row in ranking}:
        rows = [row for row in ranking if row["query_id"] == query]
        rows.sort(
            key=lambda row: (row["score"] is None, -(row["score"] or 0), row["first_stage_rank"])
        )
        places = [n for n, row in enumerate(rows, 1) if (query, row["passage_id"]) in relevant]
        found[query] = 1 / places[0] if places and places[0] <= 10 else 0.0
    return found


def test_quality_by_depth_knows_only_the_chunks_within_it(world):
    project, _ = world
    ranking, made = table(project, "ranking", "ranking", split="test")
    passages, _ = table(project, "ranking", "passages", split="test")
    parents = by_passage(project, "parent_id")
    within = {}
    for row in passages:
        pair = (row["query_id"], parents[row["passage_id"]])
        if row["first_stage_rank"] <= CUT:
            within[pair] = max(within.get(pair, -1e9), row["score"])
    cut = [{**row, "score": within.get((row["query_id"], row["passage_id"]))} for row in ranking]
    found = by_hand(project, cut)
    depths, about = table(project, "breakdown", "depths", split="test")
    manifests = project.manifests()
    [number] = [
        int(name.removeprefix("metrics "))
        for name, ref in about["inputs"].items()
        if name.startswith("metrics ")
        and manifests[ref["id"]]["inputs"]["ranking"]["id"] == made["id"]
    ]
    wanted = {"round": number, "depth": CUT, "ranking": "reranker", "metric": "MRR@10"}
    [value] = [row["value"] for row in depths if wanted.items() <= row.items()]
    assert value == pytest.approx(sum(found.values()) / len(found))


def measured(project, ranking):
    for name, manifest in project.manifests().items():
        if manifest["inputs"].get("ranking", {}).get("id") == ranking["id"]:
            path = project.store / "objects" / "metrics" / name / manifest["attempt"]
            found = pq.read_table(path / "per_query.parquet").to_pylist()
            rows = [r for r in found if (r["ranking"], r["metric"]) == ("reranker", "MRR@10")]
            return {row["query_id"]: row["value"] for row in rows}
    raise AssertionError("nobody measured the ranking")


def test_no_chunk_of_a_relevant_document_is_a_negative(world):
    project, _ = world
    parents = by_passage(project, "parent_id")
    qrels, _ = table(project, "dataset", "qrels")
    relevant = {(row["query_id"], row["passage_id"]) for row in qrels if row["grade"] > 0}
    rows, _ = table(project, "selection", "selection")
    siblings = [row for row in rows if row["rule"] == "sibling_of_positive"]
    assert siblings
    negatives, _ = table(project, "negatives", "negatives")
    members = [
        (row["query_id"], item["passage_id"]) for row in negatives for item in row["negatives"]
    ]
    assert any("#" in passage for _, passage in members)
    assert not {(query, parents[passage]) for query, passage in members} & relevant
    positives = [
        (row["query_id"], item["passage_id"]) for row in negatives for item in row["positives"]
    ]
    assert len(positives) == len({(query, parents[passage]) for query, passage in positives})
    assert {(query, parents[passage]) for query, passage in positives} <= relevant


def test_people_read_chunks_and_documents(world):
    project, _ = world
    done = project.strop("review", "tiny", "--export", "suspects.csv")
    assert done.returncode == 0, done.stderr
    assert len((project.folder / "suspects.csv").read_text().splitlines()) > 1
    page = next(project.store.glob("objects/report/*/*/report.html")).read_text(encoding="utf-8")
    shown = page.split("hardest queries")[1]  # documents, by the chunks that they begin with
    begins = [text for passage, text in by_passage(project, "text").items() if "#1" in passage]
    assert any(text in shown for text in begins)
