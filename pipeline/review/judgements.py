"""Verdicts as a table, and the pairs of a data set that a verdict can be of."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import VERDICTS
from strop.pipeline.errors import InputError
from strop.pipeline.mining.verdicts import WORDS
from strop.pipeline.review.verdict_files import Given

Pair = tuple[str, str]


def verdict_table(verdicts: Mapping[Pair, str]) -> pa.Table:
    """A ``verdicts`` table, sorted by query and passage, so that equal verdicts are equal bytes."""
    rows = [
        {"query_id": query, "passage_id": passage, "verdict": verdicts[query, passage]}
        for query, passage in sorted(verdicts)
    ]
    return pa.Table.from_pylist(rows, schema=VERDICTS)


def verdicts_of(table: pa.Table) -> dict[Pair, str]:
    """The verdicts of a table, by pair."""
    columns = (table[name].to_pylist() for name in VERDICTS.names)
    return {(query, passage): word for query, passage, word in zip(*columns, strict=True)}


def counted(words: Iterable[str]) -> dict[str, int]:
    """How often each verdict was given."""
    given = list(words)
    return {word: given.count(word) for word in WORDS}


@dataclass(frozen=True)
class Known:
    """What of some pairs' ids a data set has: splits of queries, passages, and its own grades."""

    splits: Mapping[str, str]
    passages: Set[str]
    grades: Mapping[Pair, int]

    def check(self, given: Given, path: str) -> None:
        """Raise `InputError` when this verdict can't be of this data set."""
        where = f"{path} line {given.line}"
        query, passage = given.query_id, given.passage_id
        if query not in self.splits:
            raise InputError(
                f"{where}: query {query!r} is not in the data set, expected one of its "
                "train queries"
            )
        if passage not in self.passages:
            raise InputError(
                f"{where}: passage {passage!r} is not in the data set, expected one of its passages"
            )
        if self.splits[query] != "train":
            raise InputError(
                f"{where}: query {query!r} is in the split {self.splits[query]}, expected a train "
                "query: no other is mined"
            )
        if (query, passage) in self.grades:
            raise InputError(
                f"{where}: the data set has judged query {query!r} and passage {passage!r} itself "
                f"(grade {self.grades[query, passage]}), expected a pair without a judgement"
            )


def known_pairs(
    pairs: Iterable[Pair], queries: pa.Table, qrels: pa.Table, corpus: Iterable[pa.Table]
) -> Known:
    """What a data set knows of these pairs; ``corpus`` comes in batches."""
    asked = list(pairs)
    query_ids = pa.array({query for query, _ in asked}, pa.string())
    passage_ids = pa.array({passage for _, passage in asked}, pa.string())
    found = queries.filter(pc.is_in(queries["query_id"], value_set=query_ids))
    judged = qrels.filter(pc.is_in(qrels["query_id"], value_set=query_ids))
    keys = zip(judged["query_id"].to_pylist(), judged["passage_id"].to_pylist(), strict=True)
    passages: set[str] = set()
    for batch in corpus:
        ids = batch["passage_id"]
        passages.update(ids.filter(pc.is_in(ids, value_set=passage_ids)).to_pylist())
    return Known(
        dict(zip(found["query_id"].to_pylist(), found["split"].to_pylist(), strict=True)),
        passages,
        dict(zip(keys, judged["grade"].to_pylist(), strict=True)),
    )
