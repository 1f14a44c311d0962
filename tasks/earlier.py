"""Earlier versions of an artifact, from which a stage takes what other data have not changed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.store import Store
from strop.pipeline.data.passage_text import passage_text
from strop.pipeline.reuse import Earlier, Reuse, text_digests

FIRST_TEXTS = 4096
NEARLY_THE_SAME = 0.9
LOOKED_AT = 16
"""Artifacts whose data are looked at."""


@dataclass(frozen=True)
class Version:
    """An artifact that the same recipe made over another data set, which is in the store too."""

    made: Manifest
    dataset: ArtifactRef


def earlier_version(store: Store, recipe: Recipe) -> Version | None:
    """The artifact of this recipe over the data most like these; None where there is none.

    Several data sets in one store may have the same encoder. They are told apart by the first texts
    of their corpora, newest first, until one is nearly the same. What is looked at is pinned: it is
    read while this stage works.
    """
    best, most = None, -1.0
    texts = _first_texts(store, recipe.inputs["dataset"])
    for version in islice(_versions(store, recipe), LOOKED_AT):
        share = _share(texts, _first_texts(store, version.dataset))
        if share > most:
            best, most = version, share
        if share >= NEARLY_THE_SAME:
            break
    return best


def _versions(store: Store, recipe: Recipe) -> Iterator[Version]:
    """The artifacts of this recipe over any data, newest first."""
    wanted = {role: ref.digest for role, ref in recipe.inputs.items() if role != "dataset"}
    for found in reversed(store.artifacts(recipe.kind)):
        others = {role: ref.digest for role, ref in found.inputs.items() if role != "dataset"}
        alike = (found.stage, found.recipe, found.parameters, others)
        if alike != (recipe.stage, recipe.recipe, recipe.parameters, wanted):
            continue
        try:
            store.use(found.inputs["dataset"])
            store.use(found.ref)
        except StoreError:  # without the data set nobody knows which texts these rows are of
            continue
        yield Version(found, found.inputs["dataset"])


def _first_texts(store: Store, dataset: ArtifactRef) -> pa.Array:
    """Digests of the texts that a corpus begins with."""
    batches = tables.iterate_batches(store.file(dataset, "corpus.parquet"), rows=FIRST_TEXTS)
    return text_digests(joined_texts(next(iter(batches))))


def _share(texts: pa.Array, others: pa.Array) -> float:
    """The share of texts that others have too."""
    return float(pc.mean(pc.is_in(texts, value_set=others)).as_py() or 0.0)


def joined_texts(batch: pa.Table) -> list[str]:
    """What models read of the passages of a batch."""
    titles, texts = batch["title"].to_pylist(), batch["text"].to_pylist()
    return [passage_text(*both) for both in zip(titles, texts, strict=True)]


def earlier_passages(
    store: Store, version: Version | None, chunk_rows: int, read_chunk: Callable[[int], pa.Array]
) -> Earlier | None:
    """The earlier rows of passages, by the digests of their texts."""
    if version is None:
        return None
    corpus = tables.iterate_batches(store.file(version.dataset, "corpus.parquet"))
    return Earlier(_digests(joined_texts(batch) for batch in corpus), chunk_rows, read_chunk)


def earlier_queries(store: Store, version: Version | None, column: str) -> Earlier | None:
    """The earlier rows of queries, by the digests of their texts."""
    if version is None:
        return None
    texts = store.table(version.dataset, "queries")["text"].to_pylist()
    path = store.file(version.made, "queries.parquet")
    return Earlier(_digests([texts]), max(len(texts), 1), lambda number: whole_column(path, column))


def whole_column(path: Path, column: str) -> pa.Array:
    """One column of a file, in one piece."""
    return one_piece(tables.read_table(path, columns=[column])[column])


def one_piece(column: pa.ChunkedArray) -> pa.Array:
    """A column's chunks as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _digests(batches: Iterable[list[str]]) -> pa.ChunkedArray:
    return pa.chunked_array([text_digests(texts) for texts in batches], pa.binary(16))


def reuse_summary(version: Version | None, passages: Reuse, queries: Reuse) -> dict[str, Any]:
    """What was made anew and what was taken from the earlier version, where there is one."""
    if version is None:
        return {}
    return {
        "new_passages": passages.made,
        "reused_passages": passages.reused,
        "new_queries": queries.made,
        "reused_queries": queries.reused,
        "reused_from": version.made.id,
    }
