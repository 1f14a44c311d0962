"""BM25 over the words of the corpus, by bm25s: its index, candidates, and positives' scores."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import SCORES
from strop.pipeline.config import Bm25
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import offsets_of
from strop.pipeline.first_stage.retrieval import candidate_rows, positions
from strop.pipeline.first_stage.words import word_splitter
from strop.pipeline.progress import SILENT, Progress

QUERY_BLOCK = 256
LANGUAGE = "language.json"
"""What bm25s does not save: how the words were made."""

Rows = np.ndarray[Any, np.dtype[np.integer[Any]]]
Scores = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class WordIndex:
    """The weight of every word in every passage that has it; row ``i`` is passage ``i``."""

    weights: bm25s.BM25
    language: str | None
    words: Callable[[str], list[str]]

    def word_ids(self, text: str) -> list[int]:
        """The ids of a text's words, repeated as in the text; words that no passage has are out."""
        known = self.weights.vocab_dict
        return [known[word] for word in self.words(text) if word in known]

    def floor(self, word_ids: list[int]) -> np.float32:
        """The score of a passage with none of these words: 0 but for the variants L and +."""
        absent = self.weights.nonoccurrence_array
        return np.float32(0) if absent is None else np.float32(absent[word_ids].sum())


def build_word_index(batches: Iterable[Iterable[str]], config: Bm25) -> WordIndex:
    """Index the passages' texts, batch by batch.

    Held in memory: 4 bytes for every word of the corpus, the distinct words and their stems, and
    while bm25s sorts, some 50 bytes for every distinct word of every passage; no texts. Raises
    `InputError` for an unknown language, and for a corpus without a single word.
    """
    _check_variant(config)
    words, ids = word_splitter(config.language), dict[str, int]()
    passages = [
        array("i", [ids.setdefault(word, len(ids)) for word in words(text)])
        for texts in batches
        for text in texts
    ]
    if not ids:
        raise InputError(
            f"first_stage.bm25: none of the {len(passages):,} passages has a word to index; "
            f"look at first_stage.bm25.language = {config.language!r}, or retrieve with `dense`"
        )
    weights = bm25s.BM25(k1=config.k1, b=config.b, method=config.method, backend="numpy")
    weights.index((passages, ids), create_empty_token=False, show_progress=False)
    return WordIndex(weights, config.language, words)


def _check_variant(config: Bm25) -> None:
    if config.k1 == 0 and config.method in ("bm25l", "bm25+"):
        raise InputError(
            f"first_stage.bm25.k1 = 0: {config.method} is not defined without it; expected a "
            "number above 0, or another first_stage.bm25.method"
        )


def write_word_index(index: WordIndex, folder: Path) -> None:
    """Write NumPy arrays and JSON as bm25s does, and the language; nothing is pickled."""
    index.weights.save(folder, allow_pickle=False, show_progress=False)
    (folder / LANGUAGE).write_text(json.dumps({"language": index.language}), encoding="utf-8")


def read_word_index(folder: Path) -> WordIndex:
    """Read an index that `write_word_index` wrote; its arrays stay on disk, mapped into memory."""
    language = json.loads((folder / LANGUAGE).read_bytes())["language"]
    weights = bm25s.BM25.load(folder, mmap=True, allow_pickle=False, show_progress=False)
    return WordIndex(weights, language, word_splitter(language))


def retrieve(
    index: WordIndex,
    passage_ids: pa.Array,
    queries: pa.Table,
    *,
    depth: int,
    progress: Progress = SILENT,
) -> Iterator[pa.Table]:
    """Candidate tables, a block of queries each, at most ``depth`` rows a query.

    Equal scores are ordered by passage, and cut by passage at the depth. A passage that no word of
    the query speaks for is no candidate, so that a query may have fewer than ``depth`` or none.
    """
    progress.start(queries.num_rows, "queries")
    for start in range(0, queries.num_rows, QUERY_BLOCK):
        block = queries.slice(start, QUERY_BLOCK)
        found = [_best(index, text, depth) for text in block["text"].to_pylist()]
        counts = [len(rows) for rows, _ in found]
        yield candidate_rows(
            block,
            np.repeat(np.arange(len(counts)), counts),
            passage_ids.take(pa.array(np.concatenate([rows for rows, _ in found]))),
            ranks=np.concatenate([np.arange(1, count + 1) for count in counts]),
            scores=np.concatenate([scores for _, scores in found]),
            source="bm25",
        )
        progress.advance(block.num_rows)


def _best(index: WordIndex, text: str, depth: int) -> tuple[Rows, Scores]:
    """The best passages' rows and scores."""
    word_ids = index.word_ids(text)
    if not word_ids:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    scores = index.weights.get_scores_from_ids(word_ids)
    rows = np.flatnonzero(scores > index.floor(word_ids))
    values = scores[rows]
    if len(rows) > depth:
        last = np.partition(values, len(values) - depth)[len(values) - depth]
        rows, values = rows[values >= last], values[values >= last]
    order = np.argsort(-values, kind="stable")[:depth]
    return rows[order], values[order]


def positive_scores(
    index: WordIndex, passage_ids: pa.Array, queries: pa.Table, qrels: pa.Table
) -> pa.Table:
    """The score of every judged positive, found or missed; equal to its score as a candidate."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0))
    query_rows = positions(queries["query_id"], positives["query_id"])
    passage_rows = positions(passage_ids, positives["passage_id"]).astype(np.int32)
    order = np.argsort(query_rows, kind="stable")
    offsets = offsets_of(query_rows[order])
    scores = np.zeros(len(order), np.float32)
    for start, end in pairwise(offsets.tolist()):
        rows = order[start:end]
        text = queries["text"][int(query_rows[rows[0]])].as_py()
        scores[rows] = _scores_of(index, text, passage_rows[rows])
    columns = [positives["query_id"], positives["passage_id"], pa.array(scores)]
    return pa.table(columns, schema=SCORES)


def _scores_of(index: WordIndex, text: str, rows: Rows) -> Scores:
    """The scores of some passages, added up word by word as bm25s does, so to the same bits."""
    parts, word_ids = index.weights.scores, index.word_ids(text)
    scores = np.zeros(len(rows), np.float32)
    for word_id in word_ids:
        start, end = parts["indptr"][word_id : word_id + 2]
        holders = parts["indices"][start:end]
        places = np.minimum(np.searchsorted(holders, rows), len(holders) - 1)
        held = holders[places] == rows
        scores[held] += parts["data"][start:end][places[held]]
    return scores + index.floor(word_ids)
