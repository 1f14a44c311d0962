"""The embeddings artifact: passages in shards, and queries, by one bi-encoder."""

from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import vectors
from strop.artifacts.store import Attempt
from strop.pipeline.config import BiEncoder
from strop.pipeline.models import resolve_model
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("encode")
def encode(place: Place, dataset: ArtifactRef, model: ArtifactRef, config: BiEncoder) -> Any:
    """Encode the corpus, shard by shard, and the queries."""
    parameters = config.model_dump(mode="json", exclude={"model"})
    recipe = Recipe("embeddings", "encode", 1, parameters, {"dataset": dataset, "model": model})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.encoding import Encoder, passage_text, vector_table

        store = place.open()
        encoder = Encoder(resolve_model(config.model), config)
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")
        shards = tables.iterate_batches(corpus, rows=config.shard_passages)
        for number, shard in enumerate(shards):
            titles, texts = shard["title"].to_pylist(), shard["text"].to_pylist()
            joined = [passage_text(*both) for both in zip(titles, texts, strict=True)]
            matrix = encoder.encode(joined, prompt=config.passage_prompt, progress=progress)
            table = vector_table(shard["passage_id"], matrix)
            path = attempt.folder / f"passages-{number:05d}.parquet"
            tables.write_table(path, table, vectors(encoder.dimension))
        matrix = encoder.encode(
            queries["text"].to_pylist(), prompt=config.query_prompt, progress=progress
        )
        table = vector_table(queries["query_id"], matrix)
        path = attempt.folder / "queries.parquet"
        tables.write_table(path, table, vectors(encoder.dimension))
        passages = tables.count_rows(corpus)
        return {"passages": passages, "queries": queries.num_rows, "width": encoder.dimension}

    return carry_out(place, recipe, compute)
