"""Cards: everything that a person needs to judge one suspect."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.mining.rule_titles import rule_title

COLUMNS = (
    "query_id",
    "passage_id",
    "verdict",
    "query",
    "positives",
    "suspect",
    "score",
    "first_stage_score",
    "positive_score",
    "rule",
)
"""The columns of a file of suspects."""


@dataclass(frozen=True)
class Passage:
    """A passage as people read it."""

    passage_id: str
    title: str
    text: str


@dataclass(frozen=True)
class Card:
    """A suspect beside its query and the query's positives.

    ``score`` is that of what mined, ``positive_score`` the mean of the positives'; None stands for
    one that was not scored.
    """

    query_id: str
    query: str
    suspect: Passage
    positives: tuple[Passage, ...]
    score: float | None
    first_stage_score: float | None
    positive_score: float | None
    rule: str
    decision: str

    @property
    def pair(self) -> tuple[str, str]:
        """The ids that the verdict is of."""
        return self.query_id, self.suspect.passage_id

    @property
    def reason(self) -> str:
        """The rule in plain words."""
        return rule_title(self.rule)

    def row(self, verdict: str | None) -> dict[str, Any]:
        """The card as a row of a file."""
        values = {
            "query_id": self.query_id,
            "passage_id": self.suspect.passage_id,
            "verdict": verdict,
            "query": self.query,
            "positives": "\n\n".join(_whole(passage) for passage in self.positives),
            "suspect": _whole(self.suspect),
            "score": _rounded(self.score),
            "first_stage_score": _rounded(self.first_stage_score),
            "positive_score": _rounded(self.positive_score),
            "rule": self.rule,
        }
        return {name: values[name] for name in COLUMNS}


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _whole(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text


def cards(
    suspects: pa.Table, queries: pa.Table, qrels: pa.Table, corpus: Iterable[pa.Table]
) -> list[Card]:
    """One card a suspect, a query's together and its highest first; ``corpus`` is in batches."""
    query_ids = pc.unique(suspects["query_id"])
    positive = pc.and_(
        pc.greater(qrels["grade"], 0), pc.is_in(qrels["query_id"], value_set=query_ids)
    )
    judged = qrels.filter(positive).sort_by([("grade", "descending"), ("passage_id", "ascending")])
    wanted = pa.chunked_array([*suspects["passage_id"].chunks, *judged["passage_id"].chunks])
    passages = _passages(corpus, pc.unique(wanted))
    asked = queries.filter(pc.is_in(queries["query_id"], value_set=query_ids))
    texts = dict(zip(asked["query_id"].to_pylist(), asked["text"].to_pylist(), strict=True))
    positives: dict[str, list[Passage]] = {}
    for row in judged.select(["query_id", "passage_id"]).to_pylist():
        positives.setdefault(row["query_id"], []).append(passages[row["passage_id"]])
    order = [("query_id", "ascending"), ("score", "descending"), ("passage_id", "ascending")]
    return [
        Card(
            query_id=row["query_id"],
            query=texts[row["query_id"]],
            suspect=passages[row["passage_id"]],
            positives=tuple(positives.get(row["query_id"], ())),
            score=row["score"],
            first_stage_score=row["first_stage_score"],
            positive_score=None if isnan(row["positive_score"]) else row["positive_score"],
            rule=row["rule"],
            decision=row["decision"],
        )
        for row in suspects.sort_by(order).to_pylist()
    ]


def _passages(corpus: Iterable[pa.Table], wanted: pa.Array) -> dict[str, Passage]:
    found = {}
    for batch in corpus:
        rows = batch.filter(pc.is_in(batch["passage_id"], value_set=wanted))
        for row in rows.select(["passage_id", "title", "text"]).to_pylist():
            found[row["passage_id"]] = Passage(**row)
    return found
