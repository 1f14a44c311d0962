"""The tables of a dataset artifact, from what a reader collected."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import QRELS, QUERIES
from strop.pipeline.data.collector import SPLITS, Collector, Judgement, Query
from strop.pipeline.data.like_passages import ReadRows
from strop.pipeline.data.like_positives import warn_of_like_passages
from strop.pipeline.data.query_fields import field_table
from strop.pipeline.data.splits import Kept, SplitRule, cut_missing_splits, keep_apart, times_of
from strop.pipeline.data.validation import InvalidData


@dataclass(frozen=True)
class Imported:
    """Queries and qrels of an import whose corpus was written on the way, and its counts."""

    queries: pa.Table
    query_fields: pa.Table
    qrels: pa.Table
    candidates: pa.Table
    """What the data offer as candidates beside the positives, as a run; often empty."""
    teacher_scores: pa.Table
    """The scores that came with the data; often empty."""
    judges_documents: bool
    """Whether the ids in the qrels are of documents that passages were cut from."""
    summary: dict[str, Any]
    report: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def imported(
    found: Collector, rule: SplitRule, *, source: str, read_rows: ReadRows | None = None
) -> Imported:
    """Split and check what was collected; raises `InvalidData` with every kind of error.

    Queries without judgements, and those that nearly repeat a query of another split, are left
    out and counted.
    """
    check(found, source)
    groups = query_groups(found, rule)
    kept, splits = split(found, rule, groups)
    _require_splits(splits, source, len(kept.left_out), rule)
    _warn(found, kept, source)
    if read_rows and found.passages.sketched:
        warn_of_like_passages(found, found.passages.sketched, read_rows)
    return _tables(found, kept, splits, groups)


def imported_as_is(found: Collector, *, source: str) -> Imported:
    """The same with the splits that the data give, and without anything to train on."""
    check(found, source)
    kept = Kept(found.splits, {}, near_duplicates=0, left_out={})
    groups = {query: found.queries[query].group_id for query in found.splits}
    return _tables(found, kept, found.splits, groups)


def _tables(
    found: Collector, kept: Kept, splits: dict[str, str], groups: Mapping[str, str]
) -> Imported:
    judgements = [judgement for judgement in found.judgements if judgement.query_id in splits]
    fields = {query: found.queries[query].fields for query in found.queries if query in splits}
    return Imported(
        _query_table(splits, found.queries, groups),
        field_table(fields),
        _qrels_table(judgements, splits),
        found.run(set(splits)),
        found.teacher_scores(set(splits)),
        found.judges_documents,
        _summary(found, kept, splits, judgements),
        found.defects.report(),
        found.defects.warnings(),
    )


def check(found: Collector, source: str) -> None:
    """Raise `InvalidData` with every kind of error that was found."""
    found.passages.finish()
    if not len(found.passages) or not found.queries:
        found.defects.raise_if_any()
        raise InvalidData([f"{source}: no passages and queries; expected one record a line"])
    found.check_judgements()
    found.check_candidates()
    _require_positives(found, source)
    found.defects.raise_if_any()


def split(found: Collector, rule: SplitRule, groups: dict[str, str]) -> tuple[Kept, dict[str, str]]:
    """The judged queries' splits, given or cut; near duplicates never cross them."""
    texts = {query: found.queries[query].text for query in found.splits}
    kept = keep_apart(found.splits, texts, groups, query_sources(found, rule))
    times = None
    if rule.by == "time":
        fields = {query: found.queries[query].fields for query in kept.splits}
        times = times_of(fields, rule)
    cut = cut_missing_splits(kept.splits, groups, rule, linked=kept.linked, times=times)
    return kept, cut


def query_groups(found: Collector, rule: SplitRule) -> dict[str, str]:
    """Every query's group or, where it has none and sources are kept together, its source."""
    groups = {query: found.queries[query].group_id for query in found.splits}
    sources = query_sources(found, rule)
    return {
        query: group if group != query else sources.get(query, group)
        for query, group in groups.items()
    }


def query_sources(found: Collector, rule: SplitRule) -> dict[str, str]:
    """The source of each query's first positive, where the rule keeps sources together."""
    sources: dict[str, str] = {}
    for judgement in found.judgements if rule.by == "source" else ():
        if judgement.grade > 0:
            parent = found.passages.parents.get(judgement.passage_id, judgement.passage_id)
            sources.setdefault(judgement.query_id, f"source {parent}")
    return sources


def _require_positives(found: Collector, source: str) -> None:
    """Report splits of which no query can be measured, unless other errors explain it."""
    if found.defects.lines():
        return
    positive = {judgement.split for judgement in found.judgements if judgement.grade > 0}
    for name, where in found.judged_files.items():
        if where not in positive:
            found.defects.add(
                "no positive", f"{name}: no judgement has a grade above 0, so that no query of "
                f"{where} can be measured; add some or remove the file"
            )  # fmt: skip
    if not positive and not found.judged_files:
        found.defects.add("no positive", f"{source}: no query has a positive, expected some")


def _require_splits(splits: dict[str, str], source: str, left_out: int, rule: SplitRule) -> None:
    repeated = (
        f", and {left_out:,} that nearly repeat a query of dev, gate or test are left out"
        if left_out
        else ""
    )
    needed = "training needs queries of a train split, and of a dev split or enough train queries"
    train = sum(split == "train" for split in splits.values())
    if not train:
        raise InvalidData([f"{source}: no judged train queries{repeated}; {needed} to cut it from"])
    if "dev" not in splits.values():
        asked = rule.wording.value("dev_share", f"{rule.share('dev'):g}")
        none = f"{asked} of the {train:,} train queries is none, expected a larger share"
        cut = f"{needed} to cut it from" if round(rule.share("dev") * train) else none
        raise InvalidData([f"{source}: no judged dev queries{repeated}; {cut}"])


def _warn(found: Collector, kept: Kept, source: str) -> None:
    for query, like in kept.left_out.items():
        found.defects.warn(
            "query in another split too",
            f"{source}: query {query!r}, {found.queries[query].text!r}, is left out: it nearly "
            f"repeats {like!r} of {kept.splits[like]}",
        )
    _warn_of_positives(found)


def _warn_of_positives(found: Collector) -> None:
    """Warn of positives whose text is also another passage, which nobody may have judged."""
    if not found.passages.duplicate_texts:
        return
    positives = [judgement for judgement in found.judgements if judgement.grade > 0]
    shared = found.passages.share_text([judgement.passage_id for judgement in positives])
    for place in np.flatnonzero(shared):
        found.defects.warn(
            "positive with a duplicate",
            f"{positives[place].where}: positive {positives[place].passage_id!r} has the title and "
            "text of another passage; judge both, or keep one",
        )


def _query_table(
    splits: Mapping[str, str], queries: Mapping[str, Query], groups: Mapping[str, str]
) -> pa.Table:
    ids = [query for query in queries if query in splits]
    columns = {
        "query_id": ids,
        "text": [queries[query].text for query in ids],
        "split": pa.array([splits[query] for query in ids]).dictionary_encode(),
        "weight": pa.array([queries[query].weight for query in ids], pa.float32()),
        "group_id": [groups[query] for query in ids],
    }
    return pa.table(columns, schema=QUERIES)


def _qrels_table(judgements: list[Judgement], splits: Mapping[str, str]) -> pa.Table:
    columns = {
        "query_id": [judgement.query_id for judgement in judgements],
        "passage_id": [judgement.passage_id for judgement in judgements],
        "grade": pa.array([judgement.grade for judgement in judgements], pa.int32()),
        "split": pa.array(
            [splits[judgement.query_id] for judgement in judgements]
        ).dictionary_encode(),
    }
    return pa.table(columns, schema=QRELS)


def _documents(found: Collector) -> int:
    """What judgements may be of: documents, and passages of none; 0 where they are of passages."""
    if not found.judges_documents:
        return 0
    documents = found.passages.documents
    return len(found.passages) - documents.num_chunks + len(documents)


def _summary(
    found: Collector, kept: Kept, splits: Mapping[str, str], judgements: list[Judgement]
) -> dict[str, Any]:
    """The counts; those that are 0 in most data sets are left out."""
    counts = Counter(splits.values())
    rare = {
        "merged_passages": found.passages.merged,
        "merged_queries": found.merged_queries,
        "duplicate_passages": found.passages.duplicate_texts,
        "positives_not_compared": found.not_compared,
        "documents_cut": found.passages.cut,
        "documents": _documents(found),
        "near_duplicate_queries": kept.near_duplicates,
        "queries_left_out_as_duplicates": len(kept.left_out),
        **found.left_out,
    }
    return {
        "passages": len(found.passages),
        **{f"{name}_queries": counts[name] for name in SPLITS},
        "judgements": len(judgements),
        "queries_without_judgement": len(found.queries) - len(splits) - len(kept.left_out),
        **{name: count for name, count in rare.items() if count},
        **({"warnings": warned} if (warned := found.defects.warned()) else {}),
        **({"prompts": sorted(found.prompts)[:5]} if found.prompts else {}),
    }
