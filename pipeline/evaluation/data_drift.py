"""What new data make of the old: the negatives that are left, and a champion on new queries."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import DEV_QUERIES, OLD_NEGATIVES
from strop.pipeline.data.passage_text import passage_text
from strop.pipeline.errors import counted
from strop.pipeline.reuse import text_digests

STATES = ("same", "changed", "gone", "query gone")
Corpus = Iterable[pa.Table]


def old_negatives(negatives: pa.Table, before: Corpus, now: Corpus, queries: pa.Table) -> pa.Table:
    """``OLD_NEGATIVES`` rows of a ``negatives`` table; both corpora come in batches.

    ``queries`` are those of today's data.
    """
    lists = negatives["negatives"].combine_chunks()
    query_ids = negatives["query_id"].combine_chunks().take(pc.list_parent_indices(lists))
    passage_ids = lists.flatten().field("passage_id")
    wanted = pc.unique(passage_ids)
    old, new = _digests(before, wanted), _digests(now, wanted)
    there = pc.is_in(query_ids, value_set=queries["query_id"].combine_chunks())
    states = [
        _state(old.get(passage), new.get(passage)) if kept else "query gone"
        for passage, kept in zip(passage_ids.to_pylist(), there.to_pylist(), strict=True)
    ]
    columns = [query_ids, passage_ids, pa.array(states, pa.string()).dictionary_encode()]
    return pa.table(columns, names=OLD_NEGATIVES.names).cast(OLD_NEGATIVES)


def _state(old: bytes | None, new: bytes | None) -> str:
    if new is None:
        return "gone"
    return "same" if new == old else "changed"


def _digests(corpus: Corpus, wanted: pa.Array) -> dict[str, bytes]:
    """The digest of what models read of each wanted passage that there is."""
    found: dict[str, bytes] = {}
    for batch in corpus:
        rows = batch.filter(pc.is_in(batch["passage_id"], value_set=wanted))
        columns = (rows[name].to_pylist() for name in ("title", "text"))
        digests = text_digests([passage_text(*both) for both in zip(*columns, strict=True)])
        found |= dict(zip(rows["passage_id"].to_pylist(), digests.to_pylist(), strict=True))
    return found


def dev_queries(
    per_query: pa.Table, before: pa.Table, now: pa.Table, *, ranking: str, metric: str
) -> pa.Table:
    """``DEV_QUERIES`` rows of a metrics table; ``before`` and ``now`` are both data's queries.

    A query is known by its text, whatever its id.
    """
    measured = pc.and_(
        pc.equal(per_query["ranking"].cast(pa.string()), ranking),
        pc.equal(per_query["metric"].cast(pa.string()), metric),
    )
    rows = per_query.filter(measured)
    texts = now["text"].take(pc.index_in(rows["query_id"], value_set=now["query_id"]))
    known = pc.is_in(texts, value_set=before["text"].combine_chunks())
    return pa.table([rows["query_id"], known, rows["value"]], schema=DEV_QUERIES)


def drift_summary(negatives: pa.Table | None, queries: pa.Table, metric: str) -> dict[str, Any]:
    """The counts of both tables, and the metric's mean on new and on known queries."""
    summary: dict[str, Any] = {"metric": metric}
    if negatives is not None:
        counts = Counter(negatives["state"].to_pylist())
        summary["old_negatives"] = {state: counts[state] for state in STATES}
    for name, known in (("known", True), ("new", False)):
        values = queries.filter(pc.equal(queries["known"], known))["value"]
        summary[f"{name}_dev_queries"] = len(values)
        if len(values):
            summary[f"{metric} on {name} queries"] = pc.mean(values).as_py()
    return summary


def drift_note(summary: Mapping[str, Any], champion: str) -> str:
    """The summary as a sentence or two."""
    said, metric = "", summary["metric"]
    if counts := summary.get("old_negatives"):
        words = {"same": "as they were", "query gone": "without their query"}
        states = ", ".join(
            f"{counts[state]:,} {words.get(state, state)}" for state in STATES if counts[state]
        )
        said = f"Of the {counted(sum(counts.values()), 'negatives')} of {champion}: {states}. "
    if not summary["new_dev_queries"]:
        return f"{said}No dev query is new to {champion}."
    told = [
        f"{summary[f'{metric} on {name} queries']:.3f} on {count:,} {name}"
        for name in ("new", "known")
        if (count := summary[f"{name}_dev_queries"])
    ]
    return f"{said}On today's dev queries {champion} has {metric} {' and '.join(told)} ones."
