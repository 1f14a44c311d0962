"""The texts of queries and passages that a page shows."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.tasks.documents import document_map


def shown_texts(
    store: Store, dataset: ArtifactRef, query_ids: Iterable[str], passage_ids: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of these queries and passages by id."""
    queries, passages = (pa.array(list(ids), pa.string()) for ids in (query_ids, passage_ids))
    documents = document_map(store, dataset)
    corpus = tables.iterate_batches(store.file(dataset, "corpus.parquet"))
    if documents:  # a document is shown by the passage that it begins with
        corpus = (part for batch in corpus for part in (batch, documents.named(batch)))
    return (
        _texts([store.table(dataset, "queries")], "query_id", queries),
        _texts(corpus, "passage_id", passages),
    )


def _texts(parts: Iterable[pa.Table], key: str, ids: pa.Array) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        rows = part.filter(pc.is_in(part[key], value_set=ids))
        for name, text in zip(rows[key].to_pylist(), rows["text"].to_pylist(), strict=True):
            found.setdefault(name, text)
    return found
