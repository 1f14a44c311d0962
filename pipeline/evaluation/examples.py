"""Queries that tell most: those that lost and gained against the first stage, and the hardest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.evaluation.ranking import RANK_COLUMNS
from strop.pipeline.evaluation.results import metric_values

COUNT = 5
"""Queries of each kind."""
PLACES = 3
"""Passages shown at the head of each ranking."""


@dataclass(frozen=True)
class Example:
    """One query: its metric before (first stage) and after, and the heads of both rankings.

    Passages are ``(id, whether judged relevant)``, best first.
    """

    query_id: str
    before: float
    after: float
    first: Sequence[tuple[str, bool]]
    last: Sequence[tuple[str, bool]]

    @property
    def passage_ids(self) -> list[str]:
        """Every passage that is shown."""
        return [passage for passage, _ in (*self.first, *self.last)]


def examples(
    ranking: pa.Table, per_query: pa.Table, qrels: pa.Table, *, split: str, metric: str
) -> dict[str, list[Example]]:
    """Examples under ``lost``, ``gained`` and ``hardest``; a kind without any is left out.

    ``hardest`` are the lowest values of the fused ranking, whatever the first stage's; ties are
    broken by query id.
    """
    before, after = (
        metric_values(per_query, split=split, ranking=kind, metric=metric)
        for kind in ("first_stage", "fused")
    )
    places = np.asarray(pc.index_in(before.query_ids, value_set=after.query_ids))
    values = np.stack([before.values, after.values[places]])
    ids = np.array(before.query_ids.to_pylist(), dtype=object)
    order = np.argsort(ids, kind="stable")
    values, ids = values[:, order], ids[order]
    change = values[1] - values[0]
    chosen = {
        "lost": [place for place in np.argsort(change, kind="stable")[:COUNT] if change[place] < 0],
        "gained": [p for p in np.argsort(-change, kind="stable")[:COUNT] if change[p] > 0],
        "hardest": list(np.argsort(values[1], kind="stable")[:COUNT]),
    }
    shown = ids[[place for found in chosen.values() for place in found]]
    relevant = _relevant(qrels, pa.array(shown, pa.string()))
    return {
        kind: [
            Example(
                str(ids[place]),
                float(values[0, place]),
                float(values[1, place]),
                _head(ranking, str(ids[place]), "first_stage", relevant),
                _head(ranking, str(ids[place]), "fused", relevant),
            )
            for place in found
        ]
        for kind, found in chosen.items()
        if found
    }


def _relevant(qrels: pa.Table, query_ids: pa.Array) -> set[tuple[str, str]]:
    """The positives of some queries."""
    positive = qrels.filter(pc.greater(qrels["grade"], 0))
    positive = positive.filter(pc.is_in(positive["query_id"], value_set=query_ids))
    return set(
        zip(positive["query_id"].to_pylist(), positive["passage_id"].to_pylist(), strict=True)
    )


def _head(
    ranking: pa.Table, query_id: str, kind: str, relevant: set[tuple[str, str]]
) -> list[tuple[str, bool]]:
    column = RANK_COLUMNS[kind]
    rows = ranking.filter(pc.equal(ranking["query_id"], query_id))
    rows = rows.sort_by(column).slice(0, PLACES)  # ranks of documents have gaps
    return [
        (passage, (query_id, passage) in relevant) for passage in rows["passage_id"].to_pylist()
    ]


def shown_ids(found: dict[str, list[Example]]) -> tuple[list[str], list[str]]:
    """The ids of all queries and passages that examples show, each once."""
    every: list[Any] = [example for kind in found.values() for example in kind]
    queries = dict.fromkeys(example.query_id for example in every)
    passages = dict.fromkeys(passage for example in every for passage in example.passage_ids)
    return list(queries), list(passages)
