"""A retrieval data set in memory-mappable columns: corpus, queries with their fields, and qrels."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Dataset:
    """Tables with the schemas of the ``dataset`` artifact (`strop.artifacts.schemas`)."""

    corpus: pa.Table
    queries: pa.Table
    query_fields: pa.Table
    qrels: pa.Table
