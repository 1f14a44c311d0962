"""The embeddings artifact: passages in shards, and queries, by one bi-encoder."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import vectors
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import BiEncoder
from strop.pipeline.models import resolve_model
from strop.pipeline.progress import Progress
from strop.pipeline.reuse import Earlier, Reuse
from strop.tasks.earlier import (
    Version,
    earlier_passages,
    earlier_queries,
    earlier_version,
    joined_texts,
    reuse_summary,
    whole_column,
)
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("encode")
def encode(place: Place, dataset: ArtifactRef, model: ArtifactRef, config: BiEncoder) -> Any:
    """Encode the corpus, shard by shard, and the queries.

    Vectors of texts that the same encoder encoded for other data are taken from there.
    """
    parameters = config.model_dump(mode="json", exclude={"model"})
    recipe = Recipe("embeddings", "encode", 2, parameters, {"dataset": dataset, "model": model})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.encoding import Encoder, vector_column, vector_table

        store = place.open()
        encoder = Encoder(resolve_model(config.model), config)
        version = earlier_version(store, recipe)
        passages = Reuse(_earlier_vectors(store, version, config), progress)
        questions = Reuse(earlier_queries(store, version, "vector"), progress)
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")

        def encoded(texts: Sequence[str], prompt: str) -> pa.Array:
            return vector_column(encoder.encode(texts, prompt=prompt, progress=progress))

        for number, shard in enumerate(tables.iterate_batches(corpus, rows=config.shard_passages)):
            column = passages.values(
                joined_texts(shard), lambda texts: encoded(texts, config.passage_prompt)
            )
            path = attempt.folder / f"passages-{number:05d}.parquet"
            table = vector_table(shard["passage_id"], column)
            tables.write_table(path, table, vectors(encoder.dimension))
        column = questions.values(
            queries["text"].to_pylist(), lambda texts: encoded(texts, config.query_prompt)
        )
        path = attempt.folder / "queries.parquet"
        table = vector_table(queries["query_id"], column)
        tables.write_table(path, table, vectors(encoder.dimension))
        return {
            "passages": tables.count_rows(corpus),
            "queries": queries.num_rows,
            "width": encoder.dimension,
            **reuse_summary(version, passages, questions),
        }

    return carry_out(place, recipe, compute)


def _earlier_vectors(store: Store, version: Version | None, config: BiEncoder) -> Earlier | None:
    def shard(number: int) -> pa.Array:
        assert version is not None
        path = store.file(version.made, f"passages-{number:05d}.parquet")
        return whole_column(path, "vector")

    return earlier_passages(store, version, config.shard_passages, shard)
