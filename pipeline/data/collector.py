"""What every reader hands over: passages, queries, judgements and scored candidates, checked."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import RUN, SCORES
from strop.pipeline.data.passages import Passages, Write, text_id
from strop.pipeline.data.text_files import Place
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import counted
from strop.pipeline.progress import SILENT, Progress

SPLITS = ("train", "dev", "gate", "test")
KEPT_FIRST = ("test", "gate", "dev", "train")
"""Where a query, or a near duplicate, is in several splits, the first of these keeps it."""
CHECKED_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Query:
    """A query: its text, what it is split with, its weight, and what else is known of it."""

    text: str
    group_id: str
    fields: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Judgement:
    """How relevant one passage is to one query, and where that was read."""

    query_id: str
    passage_id: str
    grade: int
    split: str
    where: str = ""


@dataclass
class Collector:
    """Takes what a reader finds, and checks what is the same for all formats.

    Passages are written as they come; queries and judgements are kept. ``repeats`` says that the
    format gives a query's or passage's text again with each of its rows.
    """

    defects: Defects
    write_corpus: Write
    repeats: bool = False
    progress: Progress = SILENT
    queries: dict[str, Query] = field(default_factory=dict)
    judgements: list[Judgement] = field(default_factory=list)
    splits: dict[str, str] = field(default_factory=dict)
    merged_queries: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Judgements that were not taken, by reason."""
    prompts: set[str] = field(default_factory=set)
    """Instructions that the data say belong before queries; the config decides."""
    passages: Passages = field(init=False)
    judged_files: dict[str, str] = field(default_factory=dict)
    """Files of judgements, each with its split: one without a positive is an error."""
    not_compared: int = 0
    """Positives that were too many to be held against the other passages."""
    judges_documents: bool = False
    """Whether judgements are of the documents that passages were cut from."""
    labels_negatives: bool = False
    """Whether a grade of 0 or less only gives a negative, which is no judgement."""
    _pairs: dict[tuple[str, str, str], Judgement] = field(default_factory=dict)
    _scored: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty corpus."""
        self.passages = Passages(self.defects, self.write_corpus, self.repeats, self.progress)

    def query(self, place: Place, query_id: str, query: Query) -> None:
        """Add a query; its id must be new, or with ``repeats`` have the same text again."""
        known = self.queries.setdefault(query_id, query)
        if known is query:
            return
        if not self.repeats:
            self.defects.add(
                "duplicate query", f"{place}: query id {query_id!r} was used before; ids must be "
                "unique, rename or remove one"
            )  # fmt: skip
        elif known.text != query.text:
            self.defects.add(
                "duplicate query", f"{place}: query id {query_id!r} was used before with another "
                "text; expected the same text again, rename one"
            )  # fmt: skip
        else:
            self.merged_queries += 1

    def query_text(self, place: Place, query: Query) -> str:
        """Add a query without an id; returns the id that its text makes."""
        query_id = text_id("q", query.text)
        group = query.group_id or query_id
        self.query(place, query_id, Query(query.text, group, query.fields, query.weight))
        return query_id

    def judgement(
        self, place: Place, query_id: str, passage_id: str, grade: int, split: str
    ) -> None:
        """Add how relevant a passage is; with ``repeats`` the same grade may come again.

        Negatives that are labelled alone are held against the other labels, and not added.
        """
        earlier = self._pairs.get((query_id, passage_id, split))
        if earlier is None:
            found = Judgement(query_id, passage_id, grade, split, str(place))
            self._pairs[query_id, passage_id, split] = found
            if grade <= 0 and self.labels_negatives:
                return
            self.judgements.append(found)
        elif not (self.repeats and earlier.grade == grade):
            how = "twice"
            if earlier.grade != grade:
                how = f"with grade {grade}, and with grade {earlier.grade} in {earlier.where}"
            self.defects.add(
                "repeated judgement", f"{place}: query {query_id!r} and passage {passage_id!r} are "
                f"judged {how}; remove one line"
            )  # fmt: skip
        self._split(place, query_id, split)

    def _split(self, place: Place, query_id: str, split: str) -> None:
        """Note a query's split. One that is in two is an error, unless its text comes repeatedly:
        then it belongs to the split that is kept first, and the other's rows are left out."""
        first = self.splits.setdefault(query_id, split)
        if first == split:
            return
        if self.repeats:
            self.splits[query_id] = min(first, split, key=KEPT_FIRST.index)
            return
        self.defects.add(
            "query in two splits", f"{place}: query {query_id!r} is also in {first}; a query "
            "belongs to one split, remove it from one"
        )  # fmt: skip

    def candidate(self, place: Place, query_id: str, passage_id: str, score: float | None) -> None:
        """Add a passage to a query's pool, with its teacher's score where there is one.

        The first score of a pair stands: a positive's own, where its text is a negative too.
        """
        earlier = self._scored.get((query_id, passage_id), math.nan)
        if score is None or math.isnan(earlier):
            self._scored[query_id, passage_id] = earlier if score is None else score
        elif score != earlier:
            self.defects.warn(
                "two scores", f"{place}: query {query_id!r} and passage {passage_id!r} have the "
                f"score {score:g}, and {earlier:g} before, which counts; remove one"
            )  # fmt: skip

    def check_judgements(self) -> None:
        """Report judgements whose query or passage is nowhere; call when all is read.

        Those of documents that passages were cut from make all judgements such of documents.
        """
        found, of_chunk = self.judgements, ""
        for start in range(0, len(found), CHECKED_AT_ONCE):
            block = found[start : start + CHECKED_AT_ONCE]
            ids = [judgement.passage_id for judgement in block]
            passages, documents = self.passages.known(ids), self.passages.documents
            whole, chunks = documents.are_documents(ids), documents.are_chunks(ids)
            for judgement, in_corpus in zip(block, passages | whole, strict=True):
                self._check(judgement, bool(in_corpus))
            self.judges_documents |= bool((whole & ~passages).any())
            of_chunk = of_chunk or next((block[row].where for row in np.flatnonzero(chunks)), "")
        if self.judges_documents and of_chunk:
            self.defects.add(
                "passage judged beside documents", f"{of_chunk}: judges a passage of a document, "
                "and other lines judge whole documents; expected one of both"
            )  # fmt: skip
        self.judgements = [one for one in found if one.split == self.splits[one.query_id]]
        if len(self.judgements) < len(found):
            self.left_out["judgements_of_queries_in_two_splits"] = len(found) - len(self.judgements)

    def check_candidates(self) -> None:
        """Report candidates of data that were cut: they, and their scores, are of what is whole."""
        if self.passages.cut and self._scored:
            self.defects.add(
                "cut candidates", f"{len(self._scored):,} candidates or scores that came with the "
                f"data are of whole passages, of which {self.passages.cut:,} were cut into chunks; "
                "expected data without them, or no chunks"
            )  # fmt: skip

    def _check(self, judgement: Judgement, in_corpus: bool) -> None:
        if judgement.query_id not in self.queries:
            self.defects.add(
                "unknown query",
                f"{judgement.where}: query {judgement.query_id!r} is not among the "
                f"{counted(len(self.queries), 'queries')}; remove the line or add the query",
            )
        if not in_corpus:
            self.defects.add(
                "unknown passage",
                f"{judgement.where}: passage {judgement.passage_id!r} is not in the corpus "
                f"({counted(len(self.passages), 'passages')}); remove the line or import the "
                "missing passage",
            )

    def teacher_scores(self, query_ids: set[str]) -> pa.Table:
        """The scores that came with the data, of some queries, as they came."""
        found = [
            (*pair, score)
            for pair, score in self._scored.items()
            if pair[0] in query_ids and not math.isnan(score)
        ]
        columns = zip(*found, strict=True) if found else [[], [], []]
        types = SCORES.types
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        return pa.table(arrays, schema=SCORES)

    def run(self, query_ids: set[str]) -> pa.Table:
        """The candidates of some queries as a run: ranks by score, equal scores as they came.

        Where not all of a query's candidates have a score, its order is kept alone, and the score
        is the negative rank.
        """
        pairs = [pair for pair in self._scored if pair[0] in query_ids]
        scores = np.array([self._scored[pair] for pair in pairs], np.float32)
        query_codes = {query: number for number, query in enumerate(self.queries)}
        codes = np.array([query_codes[query] for query, _ in pairs], np.int64)
        partly = np.isin(codes, codes[np.isnan(scores)])
        scores[partly] = 0
        order = np.lexsort((-scores, codes))
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        lengths = np.diff(starts, append=len(order))
        ranks = np.arange(len(order)) - np.repeat(starts, lengths) + 1
        columns: list[Any] = [
            [pairs[row][0] for row in order],
            [pairs[row][1] for row in order],
            pa.array(ranks.astype(np.int32)),
            pa.array(np.where(partly[order], -ranks, scores[order]).astype(np.float32)),
        ]
        return pa.table(columns, schema=RUN)
