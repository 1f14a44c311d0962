"""The tokens artifact: passages and queries as token ids of the reranker's tokenizer."""

from collections.abc import Sequence
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
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("tokenize")
def tokenize(place: Place, dataset: ArtifactRef, reranker: ArtifactRef, config: Reranker) -> Any:
    """Tokenize every passage and query once; scoring and training put pairs together from them."""
    parameters = {"max_tokens": config.max_tokens, "max_query_tokens": config.max_query_tokens}
    inputs = {"dataset": dataset, "reranker": reranker}
    recipe = Recipe("tokens", "tokenize", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.scoring import tokens
        from strop.pipeline.scoring.reranker import load_tokenizer

        store = place.open()
        tokenizer = load_tokenizer(store.folder(reranker))
        version = earlier_version(store, recipe)
        passages = Reuse(_earlier_tokens(store, version))
        questions = Reuse(earlier_queries(store, version, "token_ids"))
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")
        truncated = 0

        def made(texts: Sequence[str], limit: int) -> pa.Array:
            return tokens.token_column(tokenizer, texts, limit)

        with tables.TableWriter(attempt.folder / "passages.parquet", TOKENS) as writer:
            for batch in tables.iterate_batches(corpus, rows=4096):
                column = passages.values(
                    joined_texts(batch), lambda texts: made(texts, config.max_tokens)
                )
                table = pa.table([batch["passage_id"], column], schema=TOKENS)
                writer.write(table)
                truncated += tokens.count_at_limit(table, config.max_tokens)
                progress.advance(batch.num_rows)
        limit = config.max_query_tokens
        column = questions.values(queries["text"].to_pylist(), lambda texts: made(texts, limit))
        table = pa.table([queries["query_id"], column], schema=TOKENS)
        attempt.write_table("queries", table)
        progress.advance(queries.num_rows)
        return {
            "passages": tables.count_rows(corpus),
            "passages_at_the_limit": truncated,
            "queries": queries.num_rows,
            "queries_at_the_limit": tokens.count_at_limit(table, limit),
            **reuse_summary(version, passages, questions),
        }

    return carry_out(place, recipe, compute)


def _earlier_tokens(store: Store, version: Version | None) -> Earlier | None:
    def row_group(number: int) -> pa.Array:
        assert version is not None
        path = store.file(version.made, "passages.parquet")
        return one_piece(tables.read_row_group(path, number, "token_ids"))

    return earlier_passages(store, version, tables.ROW_GROUP_ROWS, row_group)
