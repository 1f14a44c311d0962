"""Whether a data set's judgements are of documents, and which passages these were cut into."""

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.data.document_map import DocumentMap


def document_map(store: Store, dataset: ArtifactRef) -> DocumentMap:
    """The documents of a data set; none where its passages are judged."""
    if not judges_documents(store, dataset):
        return DocumentMap.none()
    return DocumentMap(store.table(dataset, "documents"))


def judges_documents(store: Store, dataset: ArtifactRef) -> bool:
    """Whether a data set's judgements are of documents that were cut."""
    return "documents.parquet" in store.manifest(dataset).files


def judged_passages(store: Store, dataset: ArtifactRef) -> pa.Table:
    """The qrels by passage: what is said of a document, of each of its passages."""
    return document_map(store, dataset).passages_of(store.table(dataset, "qrels"))
