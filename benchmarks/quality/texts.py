"""A data set's training queries as the peers' scripts read them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.data.passage_text import passage_text


def write_texts(store: Store, dataset: ArtifactRef, target: Path) -> None:
    """Write ``train.jsonl`` (query, pos) and ``pool.jsonl`` (text), as FlagEmbedding reads them.

    The queries are those that strop trains on, after what crosses splits was taken out.
    """
    corpus, queries = store.table(dataset, "corpus"), store.table(dataset, "queries")
    qrels = store.table(dataset, "qrels")
    columns = (corpus[name].to_pylist() for name in ("passage_id", "title", "text"))
    texts = {name: passage_text(title, text) for name, title, text in zip(*columns, strict=True)}
    train = queries.filter(pc.equal(queries["split"].cast(pa.string()), "train"))
    asked = dict(zip(train["query_id"].to_pylist(), train["text"].to_pylist(), strict=True))
    positives: dict[str, list[str]] = {name: [] for name in asked}
    for row in qrels.filter(pc.greater(qrels["grade"], 0)).to_pylist():
        if row["query_id"] in positives:
            positives[row["query_id"]].append(texts[row["passage_id"]])
    target.mkdir(parents=True, exist_ok=True)
    rows = ({"query": asked[name], "pos": found} for name, found in positives.items() if found)
    _write(target / "train.jsonl", rows)
    _write(target / "pool.jsonl", ({"text": text} for text in texts.values()))


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
