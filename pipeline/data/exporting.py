"""Mined negatives as the lines that other trainers read; the same artifact gives the same bytes."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.data.passage_text import passage_text
from strop.pipeline.errors import InputError

DIGITS = 6
"""Decimals of a score: what float32 holds of a logit."""


@dataclass(frozen=True)
class Passage:
    """One passage of a group, with the score that mined it where it has one."""

    passage_id: str
    title: str
    text: str
    score: float | None

    @property
    def whole(self) -> str:
        """Title and text as models read them."""
        return passage_text(self.title, self.text)


@dataclass(frozen=True)
class Group:
    """A query with its positives and its negatives, the hardest first."""

    query_id: str
    query: str
    positives: list[Passage]
    negatives: list[Passage]

    def scores(self, negatives: list[Passage]) -> list[float] | None:
        """The scores of all positives and of these negatives; None where one has none."""
        found = [passage.score for passage in (*self.positives, *negatives)]
        return None if None in found else [score for score in found if score is not None]


@dataclass
class Export:
    """The groups to write, whether their scores are asked for, and what was left out."""

    groups: list[Group]
    scores: bool
    left_out: Counter[str] = field(default_factory=Counter)

    def lines(self, name: str) -> Iterator[str]:
        """The lines of a format, without line ends; raises `InputError` for an unknown one."""
        if name not in EXPORTS:
            raise InputError(f"--format {name}: unknown, expected one of {', '.join(EXPORTS)}")
        for row in EXPORTS[name](self):
            is_text = isinstance(row, str)
            yield row if is_text else json.dumps(row, ensure_ascii=False, allow_nan=False)


def read_groups(
    negatives: pa.Table, selection: pa.Table, queries: pa.Table, corpus: Iterable[pa.Table]
) -> list[Group]:
    """The groups of a negatives table, with texts; positives' scores are those of the selection."""
    texts = _texts(negatives, corpus)
    known = zip(*(queries[name].to_pylist() for name in ("query_id", "text")), strict=True)
    query_texts = dict(known)
    mined = selection.filter(
        pc.is_in(selection["decision"].cast(pa.string()), value_set=_POSITIVE)
    ).select(["query_id", "passage_id", "mining_score"])
    scores = {
        (row["query_id"], row["passage_id"]): row["mining_score"] for row in mined.to_pylist()
    }

    def passage(passage_id: str, score: float | None) -> Passage:
        rounded = None if score is None else round(score, DIGITS)
        return Passage(passage_id, *texts[passage_id], rounded)

    return [
        Group(
            row["query_id"],
            query_texts[row["query_id"]],
            [
                passage(one["passage_id"], scores.get((row["query_id"], one["passage_id"])))
                for one in row["positives"]
            ],
            [passage(one["passage_id"], one["score"]) for one in row["negatives"]],
        )
        for row in negatives.to_pylist()
    ]


_POSITIVE = pa.array(["positive", "relabelled"])


def _texts(negatives: pa.Table, corpus: Iterable[pa.Table]) -> dict[str, tuple[str, str]]:
    """Title and text of every passage of the groups; only these are kept of the corpus."""
    wanted = pa.chunked_array(
        [
            pc.struct_field(chunk.flatten(), "passage_id")
            for name in ("positives", "negatives")
            for chunk in negatives[name].chunks
        ],
        pa.string(),
    )
    found: dict[str, tuple[str, str]] = {}
    for batch in corpus:
        kept = batch.filter(pc.is_in(batch["passage_id"], value_set=wanted))
        columns = (kept[name].to_pylist() for name in ("passage_id", "title", "text"))
        found |= {key: (title, text) for key, title, text in zip(*columns, strict=True)}
    return found


def _flagembedding(export: Export) -> Iterator[Any]:
    """query, pos and neg; pos_scores and neg_scores where all passages of a group have one.

    FlagEmbedding distils from files alone of which every line has scores: where scores are asked
    for, the other groups are left out.
    """
    for group in export.groups:
        row: dict[str, Any] = {
            "query": group.query,
            "pos": [passage.whole for passage in group.positives],
            "neg": [passage.whole for passage in group.negatives],
        }
        scores = group.scores(group.negatives)
        if scores is None and export.scores:
            export.left_out["queries without all scores"] += 1
            continue
        if scores is None:
            export.left_out["lines' scores"] += 1
        else:
            row["pos_scores"] = scores[: len(group.positives)]
            row["neg_scores"] = scores[len(group.positives) :]
        yield row


def _triplets(export: Export) -> Iterator[Any]:
    """anchor, positive and negative: every positive with every negative."""
    for group in export.groups:
        for positive in group.positives:
            for negative in group.negatives:
                row = {
                    "anchor": group.query,
                    "positive": positive.whole,
                    "negative": negative.whole,
                }
                yield from _with_scores(export, row, [positive, negative])


def _tuples(export: Export) -> Iterator[Any]:
    """anchor, positive and negative_1, …: as many negatives as most groups have.

    Groups with fewer are left out; of those with more the hardest are taken.
    """
    sizes = Counter(len(group.negatives) for group in export.groups)
    width = max(sizes, key=lambda size: (sizes[size], size), default=0)
    for group in export.groups:
        if len(group.negatives) < width:
            export.left_out["queries with fewer negatives"] += 1
            continue
        negatives = group.negatives[:width]
        columns = {f"negative_{n}": one.whole for n, one in enumerate(negatives, 1)}
        for positive in group.positives:
            row = {"anchor": group.query, "positive": positive.whole, **columns}
            yield from _with_scores(export, row, [positive, *negatives])


def _with_scores(export: Export, row: dict[str, Any], passages: list[Passage]) -> Iterator[Any]:
    """The row, with ``scores`` where they are asked for; none without all of them."""
    if not export.scores:
        yield row
    elif any(passage.score is None for passage in passages):
        export.left_out["rows without a score"] += 1
    else:
        yield {**row, "scores": [passage.score for passage in passages]}


def _lists(export: Export) -> Iterator[Any]:
    """query, docs and labels (1 or 0), or scores in their place."""
    for group in export.groups:
        passages = [*group.positives, *group.negatives]
        row: dict[str, Any] = {
            "query": group.query,
            "docs": [passage.whole for passage in passages],
        }
        if export.scores:
            yield from _with_scores(export, row, passages)
        else:
            labels = [1] * len(group.positives) + [0] * len(group.negatives)
            yield {**row, "labels": labels}


def _tevatron(export: Export) -> Iterator[Any]:
    """query, positive_passages and negative_passages, each with id, title, text and score."""

    def written(passage: Passage) -> dict[str, Any]:
        about = {"docid": passage.passage_id, "title": passage.title, "text": passage.text}
        return about if passage.score is None else {**about, "score": passage.score}

    for group in export.groups:
        yield {
            "query_id": group.query_id,
            "query": group.query,
            "positive_passages": [written(passage) for passage in group.positives],
            "negative_passages": [written(passage) for passage in group.negatives],
        }


def _trec_run(export: Export) -> Iterator[str]:
    """Negatives by their score; one without a score, or with white space in an id, has no line."""
    for group in export.groups:
        rank = 0
        for passage in group.negatives:
            ids = (group.query_id, passage.passage_id)
            if passage.score is None:
                export.left_out["rows without a score"] += 1
            elif any(len(identifier.split()) != 1 for identifier in ids):
                export.left_out["rows with white space in an id"] += 1
            else:
                rank += 1
                yield f"{ids[0]} Q0 {ids[1]} {rank} {passage.score} strop"


EXPORTS: dict[str, Callable[[Export], Iterator[Any]]] = {
    "flagembedding": _flagembedding,
    "st-triplet": _triplets,
    "st-ntuple": _tuples,
    "st-labeled-list": _lists,
    "tevatron": _tevatron,
    "trec-run": _trec_run,
}
"""How each format's rows are made: objects for JSON lines, or lines as they are."""
