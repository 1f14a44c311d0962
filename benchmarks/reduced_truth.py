"""A fully judged data set of which a training query knows only a few positives."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from strop.pipeline.first_stage.encoding import passage_text
from strop.pipeline.seeds import generator


@dataclass(frozen=True)
class Truth:
    """Texts by id, and for one split which of query × passage is positive and which is kept."""

    queries: list[str]
    passages: list[str]
    query_ids: list[str]
    passage_ids: list[str]
    relevant: Any
    kept: Any


def read_truth(folder: Path, split: str, *, keep: int, seed: int) -> Truth:
    """One split of a BEIR folder; of each query's positives ``keep`` are known."""
    corpus = pa_json.read_json(folder / "corpus.jsonl")
    texts = pa_json.read_json(folder / "queries.jsonl")
    qrels = read_qrels(folder, split)
    query_ids = list(dict.fromkeys(qrels["query-id"].to_pylist()))
    passage_ids = corpus["_id"].to_pylist()
    text_by_query = dict(zip(texts["_id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    relevant = np.zeros((len(query_ids), len(passage_ids)), bool)
    kept = relevant.copy()
    place = (
        pc.index_in(qrels["query-id"], pa.array(query_ids)).to_numpy(),
        pc.index_in(qrels["corpus-id"], pa.array(passage_ids)).to_numpy(),
    )
    relevant[place] = True
    kept[place] = kept_rows(qrels, keep=keep, seed=seed)
    titles, bodies = corpus["title"].to_pylist(), corpus["text"].to_pylist()
    passages = [passage_text(title, body) for title, body in zip(titles, bodies, strict=True)]
    queries = [text_by_query[query] for query in query_ids]
    return Truth(queries, passages, query_ids, passage_ids, relevant, kept)


def read_qrels(folder: Path, split: str) -> pa.Table:
    """The positive judgements of a split, as strings."""
    names = ("query-id", "corpus-id")
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    rows = pa_csv.read_csv(
        folder / "qrels" / f"{split}.tsv",
        parse_options=pa_csv.ParseOptions(delimiter="\t"),
        convert_options=convert,
    )
    return rows.filter(pc.greater(rows["score"], 0))


def kept_rows(qrels: pa.Table, *, keep: int, seed: int) -> Any:
    """Which judgements stay known: ``keep`` of each query, by a seed of its own; bool a row."""
    owners = qrels["query-id"].to_numpy(zero_copy_only=False)
    found = np.zeros(len(owners), bool)
    for query in dict.fromkeys(owners):
        rows = np.flatnonzero(owners == query)
        found[generator(seed, "keep", query).permutation(rows)[:keep]] = True
    return found


def write_reduced(source: Path, target: Path, *, keep: int, seed: int) -> Path:
    """Write a BEIR folder whose training queries know ``keep`` positives each.

    Dev, gate and test stay whole. The hidden judgements go to a file beside the folder, which is
    returned, so that nothing that imports the folder can see them.
    """
    (target / "qrels").mkdir(parents=True)
    for path in [*source.glob("*.jsonl"), *source.glob("qrels/*.tsv")]:
        shutil.copyfile(path, target / path.relative_to(source))
    qrels = read_qrels(source, "train")
    kept = kept_rows(qrels, keep=keep, seed=seed)
    hidden = target.with_name(f"{target.name}-hidden.tsv")
    write_qrels(target / "qrels" / "train.tsv", qrels.filter(pa.array(kept)))
    write_qrels(hidden, qrels.filter(pa.array(~kept)))
    return hidden


def write_qrels(path: Path, rows: pa.Table) -> None:
    """Judgements in BEIR's layout."""
    columns = [rows[name].to_pylist() for name in ("query-id", "corpus-id", "score")]
    lines = ["\t".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
