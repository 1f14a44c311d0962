"""A BEIR folder as the tables of a dataset artifact."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from strop.artifacts.schemas import QRELS, QUERIES
from strop.pipeline.data.beir import (
    SPLITS,
    Judgement,
    Query,
    beir_files,
    read_corpus,
    read_qrels,
    read_queries,
)
from strop.pipeline.data.query_fields import field_table
from strop.pipeline.data.splits import SplitRule, cut_missing_splits, split_by_query
from strop.pipeline.data.validation import Defects, InvalidData


@dataclass(frozen=True)
class Imported:
    """Queries and qrels of an import whose corpus was written on the way, and its counts."""

    queries: pa.Table
    query_fields: pa.Table
    qrels: pa.Table
    summary: dict[str, Any]


def import_beir(
    folder: Path, rule: SplitRule, *, write_corpus: Callable[[pa.Table], object]
) -> Imported:
    """Read and check a BEIR folder; raises `InputError` or, with every defect, `InvalidData`.

    Queries without judgements are left out and counted.
    """
    found = _read(folder, beir_files(folder), write_corpus)
    groups = {query: found.queries[query].group_id for query in found.splits}
    splits = cut_missing_splits(found.splits, groups, rule)
    _require_splits(folder, splits)
    return found.imported(splits)


def import_split(
    folder: Path, split: str, *, write_corpus: Callable[[pa.Table], object]
) -> Imported:
    """Read and check one split of a BEIR folder as it is: nothing to train on is asked for."""
    found = _read(folder, beir_files(folder, (split,)), write_corpus)
    return found.imported(found.splits)


@dataclass(frozen=True)
class _Found:
    """What the files of a folder hold."""

    num_passages: int
    queries: dict[str, Query]
    judgements: list[Judgement]
    splits: dict[str, str]

    def imported(self, splits: dict[str, str]) -> Imported:
        unjudged = len(self.queries) - len(splits)
        return Imported(
            _query_table(splits, self.queries),
            field_table(
                {id_: query.fields for id_, query in self.queries.items() if id_ in splits}
            ),
            _qrels_table(self.judgements, splits),
            _summary(splits, self.num_passages, len(self.judgements), unjudged),
        )


def _read(
    folder: Path, files: dict[str, Path], write_corpus: Callable[[pa.Table], object]
) -> _Found:
    defects = Defects()
    passages = read_corpus(files["corpus.jsonl"], defects, write_corpus)
    queries = read_queries(files["queries.jsonl"], defects)
    if not passages or not queries:
        defects.raise_if_any()
    judgements: list[Judgement] = []
    for name, path in files.items():
        if name.startswith("qrels/"):
            judgements += read_qrels(path, path.stem, defects, queries=queries, passages=passages)
    splits = split_by_query(judgements, defects, folder=folder / "qrels")
    defects.raise_if_any()
    return _Found(len(passages), queries, judgements, splits)


def _require_splits(folder: Path, splits: dict[str, str]) -> None:
    for split in ("train", "dev"):
        if split not in splits.values():
            raise InvalidData(
                [f"{folder / 'qrels'}: no judged {split} queries; training needs train.tsv, and "
                 "dev.tsv or enough train queries to cut it from"]
            )  # fmt: skip


def _query_table(splits: dict[str, str], queries: dict[str, Query]) -> pa.Table:
    ids = [query for query in queries if query in splits]
    columns = {
        "query_id": ids,
        "text": [queries[query].text for query in ids],
        "split": pa.array([splits[query] for query in ids]).dictionary_encode(),
        "weight": pa.array([1.0] * len(ids), pa.float32()),
        "group_id": [queries[query].group_id for query in ids],
    }
    return pa.table(columns, schema=QUERIES)


def _qrels_table(judgements: list[Judgement], splits: dict[str, str]) -> pa.Table:
    columns = {
        "query_id": [judgement.query_id for judgement in judgements],
        "passage_id": [judgement.passage_id for judgement in judgements],
        "grade": pa.array([judgement.grade for judgement in judgements], pa.int32()),
        "split": pa.array(
            [splits[judgement.query_id] for judgement in judgements]
        ).dictionary_encode(),
    }
    return pa.table(columns, schema=QRELS)


def _summary(
    splits: dict[str, str], passages: int, judgements: int, unjudged: int
) -> dict[str, Any]:
    counts = {split: sum(1 for value in splits.values() if value == split) for split in SPLITS}
    return {
        "passages": passages,
        **{f"{split}_queries": count for split, count in counts.items()},
        "judgements": judgements,
        "queries_without_judgement": unjudged,
    }
