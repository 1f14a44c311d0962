"""What BM25 costs: seconds of a passage that is indexed, and of a passage that is searched."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from strop.pipeline.config import FirstStage

PASSAGES, QUERIES = 4_096, 64
"""How much is indexed and searched; the sample's texts are repeated."""


def measure_words(
    passages: Sequence[str], queries: Sequence[str], config: FirstStage, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of indexing a passage, and of holding a query against one."""
    from strop.pipeline.first_stage.bm25 import build_word_index, retrieve

    build_word_index([passages], config.bm25)  # warms up
    started = clock()
    index = build_word_index([_repeated(passages, PASSAGES)], config.bm25)
    indexing = (clock() - started) / PASSAGES
    ids = [str(number) for number in range(PASSAGES)]
    asked = pa.table(
        {
            "query_id": ids[:QUERIES],
            "split": ["train"] * QUERIES,
            "text": _repeated(queries, QUERIES),
        }
    )
    started = clock()
    list(retrieve(index, pa.array(ids), asked, depth=config.depth))
    return indexing, (clock() - started) / (PASSAGES * QUERIES)


def _repeated(texts: Sequence[str], count: int) -> list[str]:
    return [texts[number % len(texts)] for number in range(count)]
