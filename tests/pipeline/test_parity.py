"""The same candidates and scores give the negatives that other miners pick.

Where strop differs on purpose, a test says how. SimANS's sampling is compared with its formula in
`test_samplers.py`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives

from strop.pipeline.config import BiEncoder, Mining
from strop.pipeline.first_stage.encoding import Encoder, passage_text
from strop.pipeline.mining.selection import Round, select
from strop.pipeline.models import resolve_model

Negatives = dict[str, list[str]]


@dataclass(frozen=True)
class World:
    """Queries with their positives, all passages, and every cosine between them."""

    folder: Path
    queries: dict[str, str]
    passages: dict[str, str]
    positives: dict[str, list[str]]
    encoded: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def cosines(self) -> np.ndarray:
        encoder = Encoder(resolve_model(str(self.folder)), BiEncoder())
        queries = encoder.encode(list(self.queries.values()), prompt="")
        return queries @ encoder.encode(list(self.passages.values()), prompt="").T

    def ranked(self, query_id: str) -> list[tuple[str, float]]:
        """All passages with their cosines, best first."""
        scores = self.cosines[list(self.queries).index(query_id)]
        ids = list(self.passages)
        return [(ids[place], float(scores[place])) for place in np.argsort(-scores)]

    def only(self, keep: Callable[[list[str]], bool]) -> "World":
        """The queries whose positives satisfy a condition."""
        kept = {query: ids for query, ids in self.positives.items() if keep(ids)}
        queries = {query: self.queries[query] for query in kept}
        return World(self.folder, queries, self.passages, kept)


@pytest.fixture(scope="module")
def world(beir_folder: Path, bi_encoder_folder: Path) -> World:
    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (beir_folder / name).read_text().splitlines()]

    positives: dict[str, list[str]] = {}
    for line in (beir_folder / "qrels" / "train.tsv").read_text().splitlines()[1:]:
        query, passage, _ = line.split("\t")
        positives.setdefault(query, []).append(passage)
    queries = {row["_id"]: row["text"] for row in lines("queries.jsonl") if row["_id"] in positives}
    passages = {
        row["_id"]: passage_text(row["title"], row["text"]) for row in lines("corpus.jsonl")
    }
    return World(bi_encoder_folder, queries, passages, positives)


@pytest.fixture(scope="module")
def single(world: World) -> World:
    return world.only(lambda ids: len(ids) == 1)


def strop_negatives(
    world: World, count: int, *, first: int = 0, last: int = 25, **mining: Any
) -> Negatives:
    """What strop picks of the first-stage ranks after ``first`` and up to ``last``."""
    config = Mining(group_size=count + 1, **{"sampler": "top", **mining})
    rows = []
    for query, own in sorted(world.positives.items()):
        for rank, (passage, score) in enumerate(world.ranked(query), 1):
            inside = first < rank <= last
            if inside or passage in own:
                rank_or_none = rank if inside else None
                rows.append((query, passage, rank_or_none, score, passage in own))
    names = ["query_id", "passage_id", "rank", "first_stage_score", "positive"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    missing = pa.nulls(len(rows), pa.float32())
    table = pa.table(
        {
            **{name: list(values) for name, values in columns.items()},
            "rank": pa.array(columns["rank"], pa.int32()),
            "pool": ["first_stage"] * len(rows),
            "grade": pa.array([1 if row[-1] else None for row in rows], pa.int32()),
            "reranker_score": missing,
            "teacher_score": missing,
            "earlier_score": missing,
        }
    )
    this = Round(1, 1, seed=0, temperature=1.0, weight=0.0, group_size=count + 1, draw=1)
    keys = np.array([list(world.passages).index(row[1]) for row in rows])
    made = select(table, keys, None, config, this).table.to_pylist()
    chosen = [row for row in made if row["decision"] == "negative"]
    chosen.sort(key=lambda row: -row["mining_score"])
    return {
        query: [row["passage_id"] for row in chosen if row["query_id"] == query]
        for query in world.queries
    }


def peer_negatives(world: World, count: int, *, range_max: int = 24, **options: Any) -> Negatives:
    """What sentence-transformers picks; it searches one rank more for each positive of a query."""
    datasets = pytest.importorskip("datasets", reason="mine_hard_negatives works on datasets")
    pairs = [(query, passage) for query, ids in world.positives.items() for passage in ids]
    rows = mine_hard_negatives(
        datasets.Dataset.from_dict(
            {
                "query": [world.queries[query] for query, _ in pairs],
                "passage": [world.passages[passage] for _, passage in pairs],
            }
        ),
        SentenceTransformer(str(world.folder), device="cpu"),
        corpus=list(world.passages.values()),
        range_max=range_max,
        num_negatives=count,
        output_format="labeled-pair",
        verbose=False,
        **options,
    )
    query_by_text = {text: query for query, text in world.queries.items()}
    passage_by_text = {text: passage for passage, text in world.passages.items()}
    found: Negatives = {query: [] for query in world.queries}
    for text, passage, label in zip(rows["query"], rows["passage"], rows["label"], strict=True):
        if not label:
            found[query_by_text[text]].append(passage_by_text[passage])
    return found


def guard(rule: str = "none", share: float = 0.0, **more: Any) -> dict[str, Any]:
    """A guard on first-stage scores; the first stage is what mines here."""
    return {"rule": rule, "first_stage_margin": share, "near_duplicate": None, **more}


CAP = {"max_score": 0.55}
FLOOR = {"min_score": 0.45}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (guard(), {}),
        (guard("margin", 0.0), {"absolute_margin": 0.0}),
        (guard("margin", 0.05), {"absolute_margin": 0.05}),
        (guard("margin", -0.1), {"absolute_margin": -0.1}),
        (guard("relative", 0.0), {"relative_margin": 0.0}),
        (guard("relative", 0.05), {"relative_margin": 0.05}),
        (guard("relative", 0.3), {"relative_margin": 0.3}),
        (guard(**CAP), CAP),
        (guard(**FLOOR), FLOOR),
        (guard("margin", 0.02, **CAP, **FLOOR), {"absolute_margin": 0.02, **CAP, **FLOOR}),
    ],
)
def test_top_negatives_are_those_of_sentence_transformers(
    single: World, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    found = strop_negatives(single, 5, guard=ours)
    assert found == peer_negatives(single, 5, **theirs)


@pytest.mark.parametrize("ours", [guard("margin"), guard("relative", 0.05), guard(**CAP)])
def test_the_guards_of_this_comparison_change_what_is_picked(
    single: World, ours: dict[str, Any]
) -> None:
    assert strop_negatives(single, 5, guard=ours) != strop_negatives(single, 5, guard=guard())


def test_range_max_is_a_window(single: World) -> None:
    for last in (3, 9):
        found = strop_negatives(single, last, last=last + 1, guard=guard("margin", 0.02))
        assert found == peer_negatives(single, last, range_max=last, absolute_margin=0.02)


def test_range_min_counts_what_the_guards_have_left(single: World) -> None:
    # Ours, `min_rank`, counts first-stage ranks, so that it means the same whatever the guard.
    rule = guard("margin", 0.02)
    found = strop_negatives(single, 9, guard=rule)
    theirs = peer_negatives(single, 5, range_min=4, absolute_margin=0.02)
    assert {query: ids[4:9] for query, ids in found.items()} == theirs
    ours = strop_negatives(single, 5, first=4, guard=rule)
    assert all(
        passage not in [other for other, _ in single.ranked(query)[:4]]
        for query, ids in ours.items()
        for passage in ids
    )


def test_several_positives_are_guarded_by_the_weakest_and_siblings_are_no_negatives(
    world: World,
) -> None:
    several = world.only(lambda ids: len(ids) > 1)
    rule = guard("margin", 0.05, positive_reference="weakest")
    found = strop_negatives(several, 6, last=26, guard=rule)
    assert found == peer_negatives(several, 6, absolute_margin=0.05)
    unguarded = strop_negatives(several, 26, last=26, guard=guard())
    for query, ids in several.positives.items():
        assert not set(ids) & set(unguarded[query])
    assert found != strop_negatives(
        several, 6, last=26, guard={**rule, "positive_reference": "mean"}
    )


def test_random_negatives_come_from_the_same_candidates(single: World) -> None:
    rule, option = guard("margin", 0.02), {"absolute_margin": 0.02}
    eligible = strop_negatives(single, 24, guard=rule)
    assert eligible == peer_negatives(single, 24, **option)
    ours = strop_negatives(single, 5, sampler="uniform", guard=rule)
    theirs = peer_negatives(single, 5, sampling_strategy="random", **option)
    assert ours != strop_negatives(single, 5, guard=rule)
    for query, ids in eligible.items():
        assert set(ours[query]) | set(theirs[query]) <= set(ids)
        assert len(ours[query]) == len(set(ours[query])) == min(5, len(ids))


def test_a_pool_that_a_guard_leaves_short_stays_short_in_both(single: World) -> None:
    found = strop_negatives(single, 9, last=10, guard=guard(max_score=0.3))
    assert found == peer_negatives(single, 9, range_max=9, max_score=0.3)
    assert min(map(len, found.values())) < 9


@pytest.mark.parametrize("share", [0.9, 0.95])
def test_perc_pos_and_margin_pos_of_nv_retriever(single: World, share: float) -> None:
    by_share = strop_negatives(single, 4, guard=guard("percentage", share, margin=share))
    by_margin = strop_negatives(single, 4, guard=guard("margin", 1 - share))
    for query, (positive,) in single.positives.items():
        ranked = [pair for pair in single.ranked(query)[:25] if pair[0] != positive]
        score = dict(single.ranked(query))[positive]
        perc_pos = [passage for passage, cosine in ranked if cosine <= score * share]
        margin_pos = [passage for passage, cosine in ranked if cosine <= score - (1 - share)]
        assert by_share[query] == perc_pos[:4]
        assert by_margin[query] == margin_pos[:4]


def test_range_sampling_of_flag_embedding_but_for_its_filling_up(single: World) -> None:
    # range_for_sampling "2-12" with 8 negatives: ranks 3 to 12 but for positives; of more than 8
    # it samples 8. Fewer it fills up with any passages of the corpus, which strop does not.
    found = strop_negatives(single, 8, first=2, last=12, sampler="uniform", guard=guard())
    wide = strop_negatives(single, 12, first=2, last=12, sampler="uniform", guard=guard())
    for query, (positive,) in single.positives.items():
        inside = [passage for passage, _ in single.ranked(query)[2:12] if passage != positive]
        assert set(found[query]) <= set(inside)
        assert len(set(found[query])) == 8
        assert sorted(wide[query]) == sorted(inside)
