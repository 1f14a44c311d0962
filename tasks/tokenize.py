"""The tokens artifact: passages and queries as token ids of the reranker's tokenizer."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import TOKENS
from strop.artifacts.store import Attempt
from strop.pipeline.config import Reranker
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("tokenize")
def tokenize(place: Place, dataset: ArtifactRef, reranker: ArtifactRef, config: Reranker) -> Any:
    """Tokenize every passage and query once; scoring and training put pairs together from them."""
    parameters = {"max_tokens": config.max_tokens, "max_query_tokens": config.max_query_tokens}
    inputs = {"dataset": dataset, "reranker": reranker}
    recipe = Recipe("tokens", "tokenize", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.encoding import passage_text
        from strop.pipeline.scoring import tokens
        from strop.pipeline.scoring.reranker import load_tokenizer

        store = place.open()
        tokenizer = load_tokenizer(store.folder(reranker))
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")
        truncated = 0
        with tables.TableWriter(attempt.folder / "passages.parquet", TOKENS) as writer:
            for batch in tables.iterate_batches(corpus, rows=4096):
                titles, texts = batch["title"].to_pylist(), batch["text"].to_pylist()
                joined = [passage_text(*both) for both in zip(titles, texts, strict=True)]
                table = tokens.tokenize(tokenizer, batch["passage_id"], joined, config.max_tokens)
                writer.write(table)
                truncated += tokens.count_at_limit(table, config.max_tokens)
                progress.advance(batch.num_rows)
        texts = queries["text"].to_pylist()
        limit = config.max_query_tokens
        table = tokens.tokenize(tokenizer, queries["query_id"], texts, limit)
        attempt.write_table("queries", table)
        progress.advance(queries.num_rows)
        return {
            "passages": tables.count_rows(corpus),
            "passages_at_the_limit": truncated,
            "queries": queries.num_rows,
            "queries_at_the_limit": tokens.count_at_limit(table, limit),
        }

    return carry_out(place, recipe, compute)
