"""Review: the suspects of a round as cards, and verdicts as an artifact."""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.canonical import digest
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.errors import InputError
from strop.pipeline.mining.pool import KEYS
from strop.pipeline.mining.verdicts import WORDS
from strop.pipeline.progress import Progress
from strop.pipeline.review.cards import COLUMNS, Card, cards
from strop.pipeline.review.judgements import (
    Known,
    Pair,
    counted,
    known_pairs,
    verdict_table,
    verdicts_of,
)
from strop.pipeline.review.verdict_files import check_suffix, read_verdicts, written
from strop.tasks.by_id import artifact_by_id
from strop.tasks.documents import document_map, judged_passages
from strop.tasks.stage import Place, carry_out, stage_task

Cards = list[Card]
VERDICT_WORDS = WORDS


def suspect_cards(store: Store, dataset: ArtifactRef, suspects: ArtifactRef) -> Cards:
    """One card a suspect."""
    return cards(
        store.table(suspects, "suspects"),
        store.table(dataset, "queries"),
        _shown_positives(store, dataset, suspects),
        tables.iterate_batches(store.file(dataset, "corpus.parquet")),
    )


def _shown_positives(store: Store, dataset: ArtifactRef, suspects: ArtifactRef) -> pa.Table:
    """The qrels; of documents that are judged, the passages that stand for them in the round."""
    judged = judged_passages(store, dataset)
    if not document_map(store, dataset):
        return judged
    rows = store.table(store.manifest(suspects).inputs["selection"], "selection")
    rows = rows.filter(pc.equal(rows["decision"].cast(pa.string()), "positive"))
    kept = judged.unify_dictionaries().join(rows.select(KEYS), KEYS, join_type="inner")
    return kept.select(judged.schema.names)


def read_back(store: Store, dataset: ArtifactRef, path: Path) -> dict[Pair, str]:
    """The verdicts of a CSV or JSONL file; raises `InputError` for the first that can't be."""
    given = read_verdicts(path)
    said = {(item.query_id, item.passage_id): item.verdict for item in given}
    known = _known(store, dataset, said)
    for item in given:
        known.check(item, str(path))
    return said


def _known(store: Store, dataset: ArtifactRef, pairs: Iterable[Pair]) -> Known:
    return known_pairs(
        pairs,
        store.table(dataset, "queries"),
        judged_passages(store, dataset),
        tables.iterate_batches(store.file(dataset, "corpus.parquet"), columns=["passage_id"]),
    )


def as_file(found: Cards, verdicts: Mapping[Pair, str], path: Path) -> bytes:
    """The cards with their verdicts as the bytes of a CSV or JSONL file, by the path's suffix."""
    rows = [card.row(verdicts.get(card.pair)) for card in found]
    return written(rows, COLUMNS, check_suffix(path))


def verdicts_in(store: Store, ref: ArtifactRef | None) -> dict[Pair, str]:
    """The verdicts of an artifact; none without one."""
    return verdicts_of(store.table(ref, "verdicts")) if ref else {}


def keep_verdicts(place: Place, verdicts: Mapping[Pair, str]) -> ArtifactRef:
    """The verdicts as an artifact, whose id is over the verdicts alone."""
    said = [[*pair, verdicts[pair]] for pair in sorted(verdicts)]
    recipe = Recipe("verdicts", "review", 1, {"verdicts": digest(said)}, {})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        attempt.write_table("verdicts", verdict_table(verdicts))
        return {"verdicts": len(verdicts), **counted(verdicts.values())}

    made = carry_out(place, recipe, compute)
    return made if isinstance(made, ArtifactRef) else made.data  # type: ignore[return-value]


@stage_task("find verdicts")
def find_verdicts(place: Place, artifact_id: str, dataset: ArtifactRef) -> ArtifactRef:
    """Verdicts that a review kept, by their id; every pair must be in the data set."""
    store = place.open()
    manifest = artifact_by_id(store, artifact_id, "verdicts", key="mining.verdicts")
    said = verdicts_in(store, manifest.ref)
    known = _known(store, dataset, said)
    require_pairs(said, known.splits, known.passages, artifact_id, dataset.id)
    return store.use(manifest.ref).ref


def require_pairs(
    said: Iterable[Pair],
    queries: Container[str],
    passages: Container[str],
    verdicts: str,
    dataset: str,
) -> None:
    """Raise `InputError` for the first verdict of a query or passage that a data set lacks."""
    for query, passage in said:
        if query not in queries or passage not in passages:
            raise InputError(
                f"mining.verdicts = {verdicts!r}: has a verdict of query {query!r} and passage "
                f"{passage!r}, which are not both in the dataset {dataset}; expected verdicts of "
                "this data set"
            )


@stage_task("fit verdicts")
def verdicts_that_fit(
    place: Place, verdicts: ArtifactRef, dataset: ArtifactRef
) -> ArtifactRef | None:
    """The verdicts whose query and passage are in this data set; None where none is."""
    store = place.open()
    said = verdicts_in(store, verdicts)
    known = _known(store, dataset, said)
    fitting = {
        (query, passage): verdict
        for (query, passage), verdict in said.items()
        if query in known.splits and passage in known.passages
    }
    return keep_verdicts(place, fitting) if fitting else None
