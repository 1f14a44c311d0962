"""The tokens artifact: passages and queries as token ids of the reranker's tokenizer."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import TOKENS
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Reranker
from strop.pipeline.progress import Progress
from strop.pipeline.reuse import Earlier, Reuse
from strop.tasks.earlier import (
    Version,
    earlier_passages,
    earlier_queries,
    earlier_version,
    joined_texts,
    one_piece,
    reuse_summary,
)
from strop.tasks.renewed import TEXT, VALUE, renewed
from strop.tasks.shards import Stage
from strop.tasks.stage import Place, carry_out, stage_task
from strop.tasks.work import Models

SHARD_TEXTS = 1 << 14
"""Passages that are tokenized at once."""


@dataclass(frozen=True)
class Tokenizing:
    """Makes the token ids of texts, at most ``limit`` of each."""

    reranker: ArtifactRef
    limit: int

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        """One list of token ids a text."""
        from strop.pipeline.scoring.reranker import load_tokenizer
        from strop.pipeline.scoring.tokens import token_column

        tokenizer = models.get(
            ("tokenizer", self.reranker.id), lambda: load_tokenizer(store.folder(self.reranker))
        )
        column = token_column(tokenizer, rows[TEXT].to_pylist(), self.limit)
        progress.advance(rows.num_rows)
        return pa.table({VALUE: column})


@stage_task("tokenize")
def tokenize(place: Place, dataset: ArtifactRef, reranker: ArtifactRef, config: Reranker) -> Any:
    """Tokenize every passage and query once; scoring and training put pairs together from them."""
    parameters = {"max_tokens": config.max_tokens, "max_query_tokens": config.max_query_tokens}
    inputs = {"dataset": dataset, "reranker": reranker}
    recipe = Recipe("tokens", "tokenize", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.scoring import tokens

        store = place.open()
        version = earlier_version(store, recipe)
        passages = Reuse(_earlier_tokens(store, version), progress)
        questions = Reuse(earlier_queries(store, version, "token_ids"), progress)
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")
        batches = tables.iterate_batches(corpus, rows=SHARD_TEXTS)
        texts = ((batch["passage_id"], joined_texts(batch)) for batch in batches)
        asked = [(queries["query_id"], queries["text"].to_pylist())]
        stage, at_limit = Stage(store, attempt, progress), {}
        for part, pieces, reuse, limit in (
            ("passages", texts, passages, config.max_tokens),
            ("queries", asked, questions, config.max_query_tokens),
        ):
            at_limit[part] = 0
            with tables.TableWriter(attempt.folder / f"{part}.parquet", TOKENS) as writer:
                for ids, column in renewed(stage, part, pieces, reuse, Tokenizing(reranker, limit)):
                    table = pa.table([ids, column], schema=TOKENS)
                    writer.write(table)
                    at_limit[part] += tokens.count_at_limit(table, limit)
        return {
            "passages": tables.count_rows(corpus),
            "passages_at_the_limit": at_limit["passages"],
            "queries": queries.num_rows,
            "queries_at_the_limit": at_limit["queries"],
            **reuse_summary(version, passages, questions),
        }

    return carry_out(place, recipe, compute)


def _earlier_tokens(store: Store, version: Version | None) -> Earlier | None:
    def row_group(number: int) -> pa.Array:
        assert version is not None
        path = store.file(version.made, "passages.parquet")
        return one_piece(tables.read_row_group(path, number, "token_ids"))

    return earlier_passages(store, version, tables.ROW_GROUP_ROWS, row_group)
