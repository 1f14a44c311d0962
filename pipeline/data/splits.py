"""Splits of the queries: as given, with dev cut from train and gate from dev where they lack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strop.pipeline.data.beir import Judgement
from strop.pipeline.data.validation import Defects
from strop.pipeline.seeds import generator


@dataclass(frozen=True)
class SplitRule:
    """Shares of queries (or of their groups) to cut where a split is not given."""

    dev_share: float = 0.1
    gate_share: float = 0.5
    seed: int = 1


def split_by_query(
    judgements: list[Judgement], defects: Defects, *, folder: Path
) -> dict[str, str]:
    """Each judged query's split; a query that is judged in two splits is a defect."""
    splits: dict[str, str] = {}
    for judgement in judgements:
        first = splits.setdefault(judgement.query_id, judgement.split)
        if first != judgement.split:
            defects.add(
                "query in two splits",
                f"{folder / judgement.split}.tsv line {judgement.line}: query "
                f"{judgement.query_id!r} is also in {first}.tsv; a query belongs to one split, "
                "remove it from one",
            )
    return splits


def cut_missing_splits(
    splits: dict[str, str], group_by_query: dict[str, str], rule: SplitRule
) -> dict[str, str]:
    """The splits with dev cut from train and gate from dev, by group, where there are none."""
    if "dev" not in splits.values():
        splits = _cut(splits, group_by_query, "train", "dev", rule.dev_share, rule.seed)
    if "gate" not in splits.values() and rule.gate_share > 0:
        splits = _cut(splits, group_by_query, "dev", "gate", rule.gate_share, rule.seed)
    return splits


def _cut(
    splits: dict[str, str],
    group_by_query: dict[str, str],
    source: str,
    target: str,
    share: float,
    seed: int,
) -> dict[str, str]:
    queries = [query for query, split in splits.items() if split == source]
    groups = sorted({group_by_query[query] for query in queries})
    order = generator(seed, "split", target).permutation(len(groups))
    chosen: set[str] = set()
    wanted = round(share * len(queries))
    sizes = _group_sizes(queries, group_by_query)
    taken = 0
    for position in np.asarray(order):
        if taken >= wanted or len(chosen) == len(groups) - 1:
            break
        chosen.add(groups[position])
        taken += sizes[groups[position]]
    return {
        query: target if split == source and group_by_query[query] in chosen else split
        for query, split in splits.items()
    }


def _group_sizes(queries: list[str], group_by_query: dict[str, str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for query in queries:
        sizes[group_by_query[query]] = sizes.get(group_by_query[query], 0) + 1
    return sizes
