"""Earlier versions of an artifact, from which a stage takes what other data have not changed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.store import Store
from strop.pipeline.data.passage_text import passage_text
from strop.pipeline.reuse import Earlier, Reuse, text_digests


@dataclass(frozen=True)
class Version:
    """An artifact that the same recipe made over another data set, which is in the store too."""

    made: Manifest
    dataset: ArtifactRef


def earlier_version(store: Store, recipe: Recipe) -> Version | None:
    """The newest artifact of this recipe but for its data set; None where there is none.

    Both are pinned: they are read while this stage works.
    """
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
        return Version(found, found.inputs["dataset"])
    return None


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
