"""The embeddings artifact: passages in shards, and queries, by one bi-encoder."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import BiEncoder
from strop.pipeline.first_stage.prompts import Prompts
from strop.pipeline.models import located
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
from strop.tasks.model_weights import model_folder, weights_for_workers
from strop.tasks.renewed import TEXT, VALUE, renewed
from strop.tasks.shards import Stage
from strop.tasks.stage import Place, carry_out, stage_task
from strop.tasks.work import Models


@dataclass(frozen=True)
class Encoding:
    """Makes the vectors of texts; ``weights`` are the encoder's in the store, if they are there."""

    model: ArtifactRef
    config: BiEncoder
    weights: ArtifactRef | None
    prompt: str

    def __call__(
        self, store: Store, rows: pa.Table, models: Models, progress: Progress
    ) -> pa.Table:
        """One vector a text."""
        from strop.pipeline.first_stage.encoding import Encoder
        from strop.pipeline.first_stage.vectors import vector_column

        encoder = models.get(
            ("encoder", self.model.id, repr(self.config)),
            lambda: Encoder(
                model_folder(store, self.model, self.config.model, self.weights), self.config
            ),
        )
        texts = rows[TEXT].to_pylist()
        vectors = encoder.encode(texts, prompt=self.prompt, progress=progress)
        return pa.table({VALUE: vector_column(vectors)})


@stage_task("encode")
def encode(place: Place, dataset: ArtifactRef, model: ArtifactRef, config: BiEncoder) -> Any:
    """Encode the corpus, shard by shard, and the queries.

    Vectors of texts that the same encoder encoded for other data are taken from there. Prompts that
    the config leaves to the model are read from its folder.
    """
    prompts = Prompts.of(config, located(config.model))
    said = {"query_prompt": prompts.query, "passage_prompt": prompts.passage}
    parameters = {**config.model_dump(mode="json", exclude={"model", "own_prompts"}), **said}
    recipe = Recipe("embeddings", "encode", 3, parameters, {"dataset": dataset, "model": model})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        version = earlier_version(store, recipe)
        passages = Reuse(_earlier_vectors(store, version, config), progress)
        questions = Reuse(earlier_queries(store, version, "vector"), progress)
        corpus, queries = store.file(dataset, "corpus.parquet"), store.table(dataset, "queries")
        progress.start(tables.count_rows(corpus) + queries.num_rows, "texts")
        batches = tables.iterate_batches(corpus, rows=config.shard_passages)
        texts = ((batch["passage_id"], joined_texts(batch)) for batch in batches)
        asked = [(queries["query_id"], queries["text"].to_pylist())]
        stage = Stage(store, attempt, progress)
        weights = weights_for_workers(stage, model, config.model)

        def encoded(part: str, batches: Any, reuse: Reuse, prompt: str) -> Iterator[Any]:
            yield from renewed(
                stage, part, batches, reuse, Encoding(model, config, weights, prompt)
            )

        for number, vectors in enumerate(encoded("passages", texts, passages, prompts.passage)):
            _write(attempt, f"passages-{number:05d}", *vectors)
        for ids, column in encoded("queries", asked, questions, prompts.query):
            _write(attempt, "queries", ids, column)
            width = column.type.list_size
        return {
            "passages": tables.count_rows(corpus),
            "queries": queries.num_rows,
            "width": width,
            **reuse_summary(version, passages, questions),
        }

    return carry_out(place, recipe, compute)


def _write(attempt: Attempt, name: str, ids: Any, column: pa.Array) -> None:
    from strop.pipeline.first_stage.vectors import vector_table

    table = vector_table(ids, column)
    tables.write_table(attempt.folder / f"{name}.parquet", table, table.schema)


def _earlier_vectors(store: Store, version: Version | None, config: BiEncoder) -> Earlier | None:
    def shard(number: int) -> pa.Array:
        assert version is not None
        path = store.file(version.made, f"passages-{number:05d}.parquet")
        return whole_column(path, "vector")

    return earlier_passages(store, version, config.shard_passages, shard)
