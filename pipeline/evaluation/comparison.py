"""Arms of an experiment beside each other: the same rounds, mined or trained in other ways."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import COMPARISON_ARMS, COMPARISON_DIFFERENCES
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.results import MetricValues, compare, has_scores, metric_values

SHOWN = ("reranker", "fused")


@dataclass(frozen=True)
class Arm:
    """One arm at one seed.

    ``final`` is the last accepted round, 0 the untuned reranker, and ``final_per_query`` its
    `metrics.per_query` table on the split that is compared; ``per_query`` are the rounds' on dev.
    Pairs are by round: trained in it, scored to mine it; empty for a reranker from outside.
    """

    name: str
    seed: int
    final: int
    final_per_query: pa.Table
    per_query: Mapping[int, pa.Table]
    trained_pairs: Mapping[int, int]
    scored_pairs: Mapping[int, int]


def arms_table(arms: Sequence[Arm]) -> pa.Table:
    """``COMPARISON_ARMS`` rows: the mean of every metric, by round and of the final one."""
    rows = []
    for arm in arms:
        final = [] if _split(arm.final_per_query) in _splits(arm) else [arm.final_per_query]
        measured = [*sorted(arm.per_query.items()), *((arm.final, table) for table in final)]
        for number, per_query in measured:
            about = {
                "arm": arm.name,
                "seed": arm.seed,
                "round": number,
                "final": number == arm.final,
                "trained_pairs": _up_to(number, arm.trained_pairs),
                "scored_pairs": _up_to(number, arm.scored_pairs),
            }
            rows += [about | mean for mean in _means(per_query)]
    return pa.Table.from_pylist(rows, schema=COMPARISON_ARMS)


def _split(per_query: pa.Table) -> str:
    return str(per_query["split"][0].as_py())


def _splits(arm: Arm) -> set[str]:
    return {_split(table) for table in arm.per_query.values()}


def _up_to(number: int, pairs: Mapping[int, int]) -> int | None:
    """The pairs of all rounds up to this one; None where nobody knows them."""
    return None if not pairs else sum(count for round_, count in pairs.items() if round_ <= number)


def _means(per_query: pa.Table) -> list[dict[str, Any]]:
    keys = ["split", "ranking", "metric"]
    plain = per_query.select([*keys, "value"])
    for place, name in enumerate(keys):
        plain = plain.set_column(place, name, plain[name].cast(pa.string()))
    means = plain.group_by(keys, use_threads=False).aggregate([("value", "mean")])
    return [
        {**{key: row[key] for key in keys}, "value": row["value_mean"]} for row in means.to_pylist()
    ]


def differences_table(
    arms: Sequence[Arm], *, opponent: str, metric: str, seed: int, samples: int
) -> pa.Table:
    """``COMPARISON_DIFFERENCES`` rows: the final round of every arm against one arm's.

    A query's value is its mean over the seeds, so that interval and p-value speak of queries, and
    the spread of seeds. Where no round of an arm was accepted and its base has a fresh head, the
    first stage stands for its reranker. The last row is the first stage's. Raises `InputError` when
    the opponent is none of the arms.
    """
    names = list(dict.fromkeys(arm.name for arm in arms))
    if opponent not in names:
        raise InputError(f"arm {opponent!r}: is none of {', '.join(names)}")
    rows, split = [], _split(arms[0].final_per_query)
    for ranking in SHOWN:
        values = {name: list(_finals(arms, name, split, ranking, metric)) for name in names}
        for name, by_seed in values.items():
            means = [float(found.values.mean()) for found in by_seed]
            rows.append(
                {
                    "arm": name,
                    "opponent": opponent,
                    "split": split,
                    "ranking": ranking,
                    "metric": metric,
                    "value": float(np.mean(means)),
                    "spread": float(np.std(means, ddof=1)) if len(means) > 1 else None,
                    "num_seeds": len(means),
                    "n": len(by_seed[0].values),
                    **_change(by_seed, values[opponent], name == opponent, seed, samples),
                }
            )
    rows.append(_first_stage(arms[0], opponent, split, metric))
    return pa.Table.from_pylist(rows, schema=COMPARISON_DIFFERENCES)


def _first_stage(arm: Arm, opponent: str, split: str, metric: str) -> dict[str, Any]:
    """The row of the first stage, which is the same for every arm and held against none."""
    found = metric_values(arm.final_per_query, split=split, ranking="first_stage", metric=metric)
    return {
        "arm": "first stage",
        "opponent": opponent,
        "split": split,
        "ranking": "first_stage",
        "metric": metric,
        "value": float(found.values.mean()),
        "num_seeds": 1,
        "n": len(found.values),
    }


def _finals(
    arms: Sequence[Arm], name: str, split: str, ranking: str, metric: str
) -> Iterator[MetricValues]:
    for arm in arms:
        if arm.name == name:
            table = arm.final_per_query
            kind = ranking if has_scores(table) else "first_stage"
            yield metric_values(table, split=split, ranking=kind, metric=metric)


def _change(
    ours: Sequence[MetricValues],
    theirs: Sequence[MetricValues],
    same: bool,
    seed: int,
    samples: int,
) -> dict[str, float]:
    if same:
        return {}
    found = compare(_mean_of(ours), _mean_of(theirs), seed=seed, samples=samples)
    return {
        "difference": found.difference,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "p_value": found.p_value,
    }


def _mean_of(by_seed: Sequence[MetricValues]) -> MetricValues:
    """Every query's mean over the seeds, in the order of the first one's queries."""
    first = by_seed[0]
    aligned = [
        found.values[np.asarray(pc.index_in(first.query_ids, value_set=found.query_ids))]
        for found in by_seed
    ]
    return replace(first, values=np.mean(aligned, axis=0))
