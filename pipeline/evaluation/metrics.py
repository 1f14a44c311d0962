"""Metrics per query through ir-measures over pytrec-eval, and their means with intervals."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ir_measures.measures import registry
from ir_measures.providers import FallbackProvider
from numpy.typing import NDArray

from strop.artifacts.schemas import LABEL, METRICS_PER_QUERY, METRICS_SUMMARY
from strop.pipeline.errors import InputError, counted
from strop.pipeline.evaluation.ranking import RANK_COLUMNS, BoolArray, IntArray, encode, offsets_of
from strop.pipeline.evaluation.significance import bootstrap_interval, cluster_codes
from strop.pipeline.seeds import generator

METRICS = ("nDCG@10", "AP", "RR@10")
PROVIDER = FallbackProvider([ir_measures.pytrec_eval, ir_measures.msmarco, ir_measures.judged])
"""pytrec-eval wherever it knows the metric; MS MARCO's own script for RR with a cutoff."""
FAMILIAR_NAMES = {"AP": "MAP", "RR": "MRR"}

Grades = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Judgements:
    """The judged queries of one split: those that count in a metric, and what is known of them.

    ``query_ids`` and ``group_ids`` hold one value a query with a positive (grade above 0);
    ``num_unjudged`` queries of the split have none, so that no metric is defined for them.
    """

    split: str
    query_ids: tuple[str, ...]
    group_ids: tuple[str, ...]
    grades: Grades
    num_unjudged: int


def judge(qrels: pa.Table, queries: pa.Table, *, split: str) -> Judgements:
    """The judgements of the queries of ``split``, in the order of the queries table."""
    labels = queries["split"].cast(pa.string())
    if split not in (known := pc.unique(labels).to_pylist()):
        raise InputError(f"split {split!r} has no query; the queries have {', '.join(known)}")
    chosen = queries.filter(pc.equal(labels, split))
    positive = pc.unique(qrels.filter(pc.greater(qrels["grade"], 0))["query_id"])
    judged = chosen.filter(pc.is_in(chosen["query_id"], positive))
    if len(judged) == 0:
        raise InputError(
            f"split {split!r} has no judged query: of its {counted(len(chosen), 'queries')} none "
            "has a qrel with a grade above 0; add qrels or choose another split"
        )
    return Judgements(
        split=split,
        query_ids=tuple(judged["query_id"].to_pylist()),
        group_ids=tuple(judged["group_id"].to_pylist()),
        grades=_grades(qrels.filter(pc.is_in(qrels["query_id"], pc.unique(judged["query_id"])))),
        num_unjudged=len(chosen) - len(judged),
    )


def per_query_metrics(
    ranking: pa.Table,
    judgements: Judgements,
    *,
    kind: str,
    depth: int,
    metrics: Sequence[str] = METRICS,
) -> pa.Table:
    """``metrics.per_query`` rows of one ``kind`` of ranking: one a metric and judged query.

    ``kind`` is first_stage, reranker or fused, ``depth`` how many candidates a query were
    reranked. A judged query that has no candidates, or no positive among them, counts as a miss
    (0). The order is fed as rank-derived scores, since pytrec-eval would sort in float32 and
    break ties in its own way.
    """
    measures = [parse_metric(name) for name in metrics]
    row_by_query = {query_id: row for row, query_id in enumerate(judgements.query_ids)}
    values = {metric_label(measure): np.zeros(len(row_by_query)) for measure in measures}
    run = _run(ranking, judgements, kind=kind)
    for result in PROVIDER.evaluator(measures, judgements.grades).iter_calc(run):
        values[metric_label(result.measure)][row_by_query[result.query_id]] = result.value
    num_rows = len(row_by_query) * len(values)
    columns = {
        "query_id": list(judgements.query_ids) * len(values),
        "group_id": list(judgements.group_ids) * len(values),
        "split": _constant(judgements.split, num_rows),
        "ranking": _constant(kind, num_rows),
        "depth": np.full(num_rows, depth, dtype=np.int32),
        "metric": pa.array(np.repeat(list(values), len(row_by_query))).dictionary_encode(),
        "value": np.concatenate(list(values.values())),
    }
    return pa.table(columns).cast(METRICS_PER_QUERY)


def recall_ceiling(ranking: pa.Table, judgements: Judgements, *, depth: int) -> pa.Table:
    """The share of each query's positives among its first ``depth`` candidates, as metric rows.

    No reranker of that depth can have a higher recall: what the first stage missed stays missed.
    """
    name = [f"R@{depth}"]
    return per_query_metrics(ranking, judgements, kind="first_stage", depth=depth, metrics=name)


def is_positive(rows: pa.Table, judgements: Judgements) -> BoolArray:
    """Which rows (``query_id``, ``passage_id``) are judged positives."""
    pairs = zip(rows["query_id"].to_pylist(), rows["passage_id"].to_pylist(), strict=True)
    grades = judgements.grades
    return np.fromiter((grades.get(q, {}).get(p, 0) > 0 for q, p in pairs), bool, len(rows))


def summarise(per_query: pa.Table, *, seed: int, samples: int = 2_000) -> pa.Table:
    """``metrics.summary`` rows: the mean of each metric with its 95 % bootstrap interval.

    Intervals resample groups or queries as `cluster_codes` says; all metrics of the same queries
    share their resamples.
    """
    keys = ("split", "ranking", "depth", "metric")
    codes = _row_codes(per_query, keys)
    rows: list[dict[str, object]] = []
    for code in range(int(codes.max(initial=-1)) + 1):
        chosen = per_query.filter(pa.array(codes == code))
        values = chosen["value"].to_numpy()
        rng = generator(seed, "bootstrap")
        low, high = bootstrap_interval(
            values, cluster_codes(chosen["group_id"]), rng=rng, samples=samples
        )
        key = {name: chosen[name][0].as_py() for name in keys}
        mean = float(values.mean())
        rows.append({**key, "value": mean, "ci_low": low, "ci_high": high, "n": len(values)})
    return pa.Table.from_pylist(rows, schema=METRICS_SUMMARY)


def parse_metric(name: str) -> Any:
    """The ir-measures measure of a name such as ``nDCG@10``, ``AP(rel=2)`` or ``MRR@10``."""
    try:
        # Not ir_measures.parse_measure: it needs ast.Num, which Python 3.14 no longer has.
        measure = _measure(ast.parse(name, mode="eval").body)
        measure.validate_params()
    except (SyntaxError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise InputError(
            f"metric {name!r} is not an ir-measures name; write for example nDCG@10, AP, RR@10,"
            " P@1 or R@100"
        ) from error
    if not PROVIDER.supports(measure):
        raise InputError(
            f"metric {name!r} cannot be computed by pytrec-eval; choose for example nDCG@10, AP,"
            " RR@10, P@1 or R@100"
        )
    return measure


def metric_label(measure: Any) -> str:
    """The name that tables show: AP is called MAP and RR is called MRR, as readers expect."""
    name = str(measure.NAME)
    return FAMILIAR_NAMES.get(name, name) + str(measure).removeprefix(name)


def _measure(node: ast.expr) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        cutoff = ast.literal_eval(node.right)
        if isinstance(cutoff, bool) or (isinstance(cutoff, int) and cutoff < 1):
            raise ValueError("a cutoff is a number from 1")
        return _measure(node.left) @ cutoff
    if isinstance(node, ast.Call) and not node.args:
        values = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
        return _measure(node.func)(**values)
    if isinstance(node, ast.Name):
        return registry[node.id]
    raise ValueError("not a measure")


def _grades(qrels: pa.Table) -> Grades:
    # trec_eval has no negative gains: judged-harmful counts as judged-irrelevant.
    return _mapping_by_query(qrels, np.maximum(qrels["grade"].to_numpy(), 0))


def _run(ranking: pa.Table, judgements: Judgements, *, kind: str) -> dict[str, dict[str, float]]:
    if kind not in RANK_COLUMNS:
        raise InputError(f"ranking {kind!r} is not one of {', '.join(RANK_COLUMNS)}")
    ranks = ranking[RANK_COLUMNS[kind]]
    if ranks.null_count:
        raise InputError(f"the ranking has no {kind} order yet; fuse it first")
    wanted = pc.is_in(ranking["query_id"], pa.array(judgements.query_ids, pa.string()))
    chosen = ranking.filter(wanted)
    return _mapping_by_query(chosen, -chosen[RANK_COLUMNS[kind]].to_numpy().astype(np.float64))


def _mapping_by_query(table: pa.Table, values: NDArray[Any]) -> dict[str, dict[str, Any]]:
    """``{query_id: {passage_id: value}}``, the form that pytrec-eval wants."""
    codes, query_ids = encode(table["query_id"])
    order = np.argsort(codes, kind="stable")
    pairs = list(
        zip(table["passage_id"].take(order).to_pylist(), values[order].tolist(), strict=True)
    )
    offsets = offsets_of(codes[order]).tolist()
    return {
        query_id: dict(pairs[start:end])
        for query_id, (start, end) in zip(query_ids, pairwise(offsets), strict=True)
    }


def _row_codes(table: pa.Table, columns: Sequence[str]) -> IntArray:
    """One code a row, equal where all ``columns`` are equal, numbered by first appearance."""
    combined = np.zeros(len(table), dtype=np.int64)
    for name in columns:
        codes, texts = encode(table[name])
        combined = combined * max(len(texts), 1) + codes
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _constant(text: str, num_rows: int) -> pa.DictionaryArray:
    indices = pa.array(np.zeros(num_rows, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([text])).cast(LABEL)
