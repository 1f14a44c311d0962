"""The BM25 index artifact: the weight of every word in every passage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Bm25
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task

BATCH_ROWS = 4096


@stage_task("index words")
def index_words(place: Place, dataset: ArtifactRef, config: Bm25) -> Any:
    """Index the words of every passage's title and text."""
    parameters = {"type": "bm25", **config.model_dump(mode="json")}
    recipe = Recipe("index", "index words", 1, parameters, {"dataset": dataset})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.first_stage.bm25 import build_word_index, write_word_index

        corpus = place.open().file(dataset, "corpus.parquet")
        index = build_word_index(_texts(corpus, progress), config)
        write_word_index(index, attempt.folder)
        return {
            "type": "bm25",
            "passages": tables.count_rows(corpus),
            "words": len(index.weights.vocab_dict),
        }

    return carry_out(place, recipe, compute)


def _texts(corpus: Path, progress: Progress) -> Iterator[list[str]]:
    """The passages' texts, some thousands at a time."""
    from strop.pipeline.first_stage.encoding import passage_text

    progress.start(tables.count_rows(corpus), "passages")
    for batch in tables.iterate_batches(corpus, rows=BATCH_ROWS, columns=["title", "text"]):
        titles, texts = batch["title"].to_pylist(), batch["text"].to_pylist()
        yield [passage_text(*both) for both in zip(titles, texts, strict=True)]
        progress.advance(batch.num_rows)
