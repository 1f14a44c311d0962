"""A small store of a finished run of two rounds, made by hand: tables of every sort, no models."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts import refs, tables
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import TABLES, vectors
from strop.artifacts.store import Attempt, Store

PASSAGES = {
    f"p{number}": f"passage number {number} about {'abcdef'[number]}" for number in range(6)
}
QUERIES = {"q1": "train", "q2": "train", "q3": "dev", "q4": "test"}
POSITIVES = {"q1": "p0", "q2": "p1", "q3": "p2", "q4": "p3"}
NEGATIVES = {
    1: {"q1": ["p1", "p2"], "q2": ["p0", "p5"]},
    2: {"q1": ["p2", "p3"], "q2": ["p0", "p5"]},
}
"""What each round mined: round 2 replaces a negative of q1."""
VALUES = {0: {"q3": 0.5, "q4": 0.25}, 1: {"q3": 0.5, "q4": 0.5}, 2: {"q3": 1.0, "q4": 0.25}}
"""Every round's nDCG@10 by query."""


class World:
    """Commits artifacts to a store, one a call."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def commit(
        self,
        kind: str,
        stage: str,
        rows: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        *,
        inputs: dict[str, Manifest] | None = None,
        summary: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> Manifest:
        given = {role: item.ref for role, item in (inputs or {}).items()}
        recipe = Recipe(kind, stage, 1, parameters, given)
        found = self.store.lookup(recipe)
        if found is not None:
            return found
        with self.store.attempt(recipe) as attempt:
            _write(attempt, rows or {}, files or {})
            return self.store.commit(attempt, summary=summary or {}, seconds=0.5)


def _write(attempt: Attempt, rows: dict[str, Any], files: dict[str, bytes]) -> None:
    for name, values in rows.items():
        schema = TABLES[attempt.recipe.kind].get(name) or vectors(2)
        table = pa.Table.from_pylist(values, schema=schema)
        tables.write_table(attempt.folder / f"{name}.parquet", table, schema)
    for name, data in files.items():
        path = attempt.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def store_world(root: str | Path) -> Store:
    """The store; the same call on it again makes nothing new."""
    store = Store(root)
    world, run = World(store), Run(store, "tiny")
    run.claim({"rounds": 2, "name": "tiny", "decision": {"champion": "tiny"}})
    with run.lease() as lease:
        shared = _prepare(world)
        run.record(lease, "prepare", _refs(shared))
        rounds = [shared]
        for number in (1, 2):
            rounds.append(_round(world, shared, rounds[-1], number))
            run.record(lease, f"round-{number:03d}", _refs(rounds[-1]))
        tested = {
            f"metrics_test_{number}": _metrics(world, shared, made["reranker"], number, "test")[1]
            for number, made in enumerate(rounds)
        }
        report = _report(world, shared, tested)
        run.record(lease, "assess", _refs({**tested, "report": report}))
    if refs.read(store, "tiny").generation == 0:
        for number in (1, 2):
            refs.move(store, refs.read(store, "tiny"), _champion(rounds[number], number))
    return store


def _refs(made: dict[str, Manifest]) -> dict[str, ArtifactRef]:
    return {role: item.ref for role, item in made.items()}


def _champion(made: dict[str, Manifest], number: int) -> dict[str, Any]:
    return {
        "run": "tiny",
        "round": number,
        "name": f"round {number} of tiny",
        "ranking": "fused",
        "weight": 0.5,
        "decision": made["decision"].id,
        "reranker": vars(made["reranker"].ref),
    }


def _prepare(world: World) -> dict[str, Manifest]:
    corpus = [
        {"passage_id": key, "title": key.upper(), "text": text, "parent_id": None}
        for key, text in PASSAGES.items()
    ]
    queries = [
        {"query_id": key, "text": f"query {key}", "split": split, "weight": 1.0, "group_id": key}
        for key, split in QUERIES.items()
    ]
    qrels = [
        {"query_id": key, "passage_id": POSITIVES[key], "grade": 1, "split": split}
        for key, split in QUERIES.items()
    ]
    dataset = world.commit(
        "dataset",
        "import beir",
        {"corpus": corpus, "queries": queries, "qrels": qrels},
        summary={"passages": len(corpus)},
    )
    inputs = {"dataset": dataset}
    base = world.commit("reranker", "initialise", files={"config.json": b"{}"})
    embeddings = world.commit(
        "embeddings",
        "encode",
        {
            "passages-00000": [{"id": key, "vector": [i, 1.0]} for i, key in enumerate(PASSAGES)],
            "queries": [{"id": key, "vector": [0.5, i]} for i, key in enumerate(QUERIES)],
        },
        inputs=inputs,
    )
    index = world.commit(
        "index", "build index", files={"index.faiss": b"vectors"}, inputs={"embeddings": embeddings}
    )
    tokens = world.commit("tokens", "tokenize", _tokens(), inputs={"dataset": dataset})
    candidates = world.commit(
        "candidates", "retrieve", _candidates(), inputs={"dataset": dataset, "index": index}
    )
    made = {
        "dataset": dataset,
        "embeddings": embeddings,
        "index": index,
        "tokens": tokens,
        "candidates": candidates,
        "reranker": base,
    }
    ranking, metrics = _metrics(world, made, base, 0, "dev")
    return {**made, "ranking_dev": ranking, "metrics_dev": metrics}


def _tokens() -> dict[str, Any]:
    return {
        "passages": [{"id": key, "token_ids": [i, i + 1]} for i, key in enumerate(PASSAGES)],
        "queries": [{"id": key, "token_ids": [i]} for i, key in enumerate(QUERIES)],
    }


def _candidates() -> dict[str, Any]:
    rows = [
        {
            "query_id": query,
            "passage_id": passage,
            "rank": rank,
            "score": 1.0 / rank,
            "source": "dense",
            "split": split,
        }
        for query, split in QUERIES.items()
        for rank, passage in enumerate(PASSAGES, start=1)
    ]
    positives = [
        {"query_id": query, "passage_id": passage, "score": 1.0}
        for query, passage in POSITIVES.items()
    ]
    return {"candidates": rows, "positives": positives}


def _round(
    world: World, shared: dict[str, Manifest], last: dict[str, Manifest], number: int
) -> dict[str, Manifest]:
    pairs = [(query, passage) for query in NEGATIVES[number] for passage in PASSAGES]
    scores = world.commit(
        "scores",
        "score",
        {"scores": [{"query_id": q, "passage_id": p, "score": float(number)} for q, p in pairs]},
        inputs={"candidates": shared["candidates"], "reranker": last["reranker"]},
        summary={"pairs": len(pairs)},
    )
    selection = world.commit(
        "selection",
        "select",
        {"selection": [_selection(*pair, number) for pair in pairs], "group_sizes": []},
        inputs={"candidates": shared["candidates"], "scores": scores},
        margin=float(number),
        round=number,
    )
    negatives = world.commit(
        "negatives",
        "list negatives",
        {"negatives": [_negatives(query, number) for query in NEGATIVES[number]]},
        inputs={"dataset": shared["dataset"], "selection": selection},
        summary={"queries": 2, "pairs": 6},
    )
    reranker = world.commit(
        "reranker",
        "train",
        {"train_log": []},
        {"config.json": b"{}", "model.safetensors": b"weights %d" % number},
        inputs={"negatives": negatives, "reranker": last["reranker"], "tokens": shared["tokens"]},
        round=number,
    )
    ranking, metrics = _metrics(world, shared, reranker, number, "dev")
    decision = world.commit(
        "decision",
        "accept",
        {"decision": []},
        inputs={"challenger": metrics, "opponent": last["metrics_dev"]},
        summary={"verdict": "accepted", "reason": f"round {number} is better"},
    )
    return {
        "scores": scores,
        "selection": selection,
        "negatives": negatives,
        "reranker": reranker,
        "ranking_dev": ranking,
        "metrics_dev": metrics,
        "decision": decision,
    }


def _selection(query: str, passage: str, number: int) -> dict[str, Any]:
    chosen = passage in NEGATIVES[number][query]
    positive = POSITIVES[query] == passage
    return {
        "query_id": query,
        "passage_id": passage,
        "rank": 1,
        "pool": "candidates",
        "first_stage_score": 0.5,
        "reranker_score": float(number),
        "teacher_score": None,
        "earlier_score": None,
        "mining_score": float(number),
        "grade": 1 if positive else None,
        "decision": "positive" if positive else "negative" if chosen else "skipped",
        "rule": "judged" if positive else "sampled" if chosen else "not_sampled",
        "sampler": "mixed",
        "weight": 1.0,
    }


def _negatives(query: str, number: int) -> dict[str, Any]:
    chosen = [
        {"passage_id": p, "score": float(number), "rank": i, "sampler": "mixed", "weight": 1.0}
        for i, p in enumerate(NEGATIVES[number][query], start=1)
    ]
    return {
        "query_id": query,
        "positives": [{"passage_id": POSITIVES[query], "grade": 1}],
        "negatives": chosen,
        "group_size": 1 + len(chosen),
        "difficulty": 0.5,
        "weight": 1.0,
    }


def _metrics(
    world: World, shared: dict[str, Manifest], reranker: Manifest, number: int, split: str
) -> tuple[Manifest, Manifest]:
    queries = [query for query in VALUES[number] if QUERIES[query] == split]
    inputs = {"candidates": shared["candidates"], "tokens": shared["tokens"], "reranker": reranker}
    rows = [_ranked(query, passage, split, number) for query in queries for passage in PASSAGES]
    ranking = world.commit("ranking", "rerank", {"ranking": rows}, inputs=inputs, split=split)
    told = {"split": split, "ranking": "fused", "depth": 6, "metric": "nDCG@10"}
    per_query = [
        {"query_id": query, "group_id": query, "value": VALUES[number][query], **told}
        for query in queries
    ]
    mean = sum(row["value"] for row in per_query) / len(per_query)
    summary = [{"value": mean, "ci_low": mean, "ci_high": mean, "n": len(queries), **told}]
    metrics = world.commit(
        "metrics",
        "evaluate",
        {"summary": summary, "per_query": per_query},
        inputs={"dataset": shared["dataset"], "ranking": ranking},
        summary={"split": split, "fused nDCG@10": mean},
    )
    return ranking, metrics


def _ranked(query: str, passage: str, split: str, number: int) -> dict[str, Any]:
    rank = list(PASSAGES).index(passage) + 1
    return {
        "query_id": query,
        "passage_id": passage,
        "split": split,
        "rank": rank,
        "score": number + 1.0 / rank,
        "first_stage_rank": rank,
        "first_stage_score": 1.0 / rank,
        "fused_rank": rank,
        "fused_score": 1.0 / rank,
    }


def _report(world: World, shared: dict[str, Manifest], tested: dict[str, Manifest]) -> Manifest:
    page = f"<p>A hard negative: {PASSAGES['p5']}</p>".encode()
    return world.commit(
        "report",
        "report",
        {"results": []},
        {"report.html": page, "report.md": b"A report\n"},
        inputs={"dataset": shared["dataset"], **tested},
    )
