"""A retrieval data set in memory-mappable columns: corpus, queries and qrels."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Dataset:
    """Three tables with the schemas of the ``dataset`` artifact (`strop.artifacts.schemas`)."""

    corpus: pa.Table
    queries: pa.Table
    qrels: pa.Table
