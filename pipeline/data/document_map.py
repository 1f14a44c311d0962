"""Documents that were cut into passages: passages are retrieved, and documents are judged."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import DOCUMENTS, SCORES
from strop.pipeline.arrays import Ints

KEYS = ["query_id", "passage_id"]


@dataclass(frozen=True)
class DocumentMap:
    """The ``documents`` table of a dataset; without rows, judgements are of passages themselves.

    A passage that is not in it is a document of its own.
    """

    table: pa.Table

    @classmethod
    def none(cls) -> "DocumentMap":
        """The map of a data set whose passages are judged."""
        return cls(DOCUMENTS.empty_table())

    def __bool__(self) -> bool:
        """Whether judgements are of documents."""
        return bool(self.table.num_rows)

    def documents_of(self, passage_ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """The document of every passage; an id of a document stays itself."""
        if not self:
            return passage_ids
        rows = pc.index_in(passage_ids, value_set=self.table["passage_id"])
        return pc.coalesce(self.table["document_id"].take(rows), passage_ids)

    def passages_of(self, qrels: pa.Table) -> pa.Table:
        """The judgements of documents as those of each of their passages, in order of ids."""
        if not self:
            return qrels
        cut = self.table.rename_columns(["chunk_id", "passage_id"])
        found = qrels.unify_dictionaries().join(cut, keys="passage_id", join_type="left outer")
        chunks = pc.coalesce(found["chunk_id"], found["passage_id"])
        place = found.schema.get_field_index("passage_id")
        found = found.set_column(place, "passage_id", chunks).select(qrels.schema.names)
        return found.sort_by([(name, "ascending") for name in KEYS]).cast(qrels.schema)

    def best_passages(self, scores: pa.Table) -> pa.Table:
        """Of a ``scores`` table the best passage of each query and document, the first of equals.

        Rows keep their order.
        """
        if not self:
            return scores
        pairs = self.pair_codes(scores)
        values = scores["score"].to_numpy()
        order = np.lexsort((np.arange(len(values)), -values, pairs))
        first = np.diff(pairs[order], prepend=-1) != 0
        return scores.take(pa.array(np.sort(order[first]))).cast(SCORES)

    def best_ranks(self, candidates: pa.Table) -> pa.Table:
        """Candidates as documents, each at the place of its best passage; ranks may have gaps."""
        if not self:
            return candidates
        pairs, ranks = self.pair_codes(candidates), candidates["rank"].to_numpy()
        order = np.lexsort((ranks, pairs))
        first = np.sort(order[np.diff(pairs[order], prepend=-1) != 0])
        return self.named(candidates.take(pa.array(first)))

    def codes(self, passage_ids: pa.ChunkedArray) -> Ints:
        """A number for every passage, equal where the document is."""
        encoded = self.documents_of(passage_ids).combine_chunks().dictionary_encode()
        return np.asarray(encoded.indices.to_numpy(), np.int64)

    def siblings_of(self, rows: pa.Table) -> pa.Table:
        """The rows with all passages of their documents."""
        return self.passages_of(self.named(rows))

    def named(self, rows: pa.Table) -> pa.Table:
        """The rows with documents in place of their passages."""
        place = rows.schema.get_field_index("passage_id")
        return rows.set_column(place, "passage_id", self.documents_of(rows["passage_id"]))

    def pair_codes(self, rows: pa.Table) -> Ints:
        """A number for every row, equal where query and document are."""
        queries = rows["query_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        documents = self.codes(rows["passage_id"])
        found: Ints = np.asarray(queries, np.int64) * (documents.max(initial=0) + 1) + documents
        return found
