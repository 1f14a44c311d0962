"""Splits of the queries: as given, with those that lack cut by query, by source or by time."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from strop.pipeline.data.collector import KEPT_FIRST
from strop.pipeline.data.fields import as_number, shown
from strop.pipeline.data.like_queries import like_groups
from strop.pipeline.data.wording import COMMAND_LINE, Wording
from strop.pipeline.errors import InputError
from strop.pipeline.seeds import generator

CUTS = (("train", "test"), ("train", "dev"), ("dev", "gate"))
"""Which split is cut from which where it is not given, in this order."""


@dataclass(frozen=True)
class SplitRule:
    """Shares of queries (or of their groups) to cut where a split is not given.

    ``by`` says what stays together: a query with its group, and with ``source`` also all queries
    of one source document; with ``time`` the latest queries are cut, by the field of that name.
    """

    dev_share: float = 0.1
    gate_share: float = 0.5
    seed: int = 1
    test_share: float = 0.0
    by: Literal["query", "source", "time"] = "query"
    time_field: str = "time"
    wording: Wording = field(default=COMMAND_LINE, compare=False)

    def parameters(self) -> dict[str, Any]:
        """The identity parameters; an import with the rule of old has the id of old."""
        values = {"dev_share": self.dev_share, "gate_share": self.gate_share, "seed": self.seed}
        if self.test_share:
            values["test_share"] = self.test_share
        if self.by == "query":
            return values
        more = {"time_field": self.time_field} if self.by == "time" else {}
        return {**values, "split_by": self.by, **more}

    def share(self, split: str) -> float:
        """The share of the split that this one is cut from."""
        shares = {"test": self.test_share, "dev": self.dev_share, "gate": self.gate_share}
        return shares[split]


@dataclass(frozen=True)
class Kept:
    """The splits without queries that another split has too.

    ``left_out`` are those, each with the query of the other split that it nearly repeats.
    """

    splits: dict[str, str]
    linked: dict[str, str]
    """What every query is split with: its group's name, or the first of several that are linked."""
    near_duplicates: int
    left_out: dict[str, str]


def keep_apart(
    splits: dict[str, str],
    texts: dict[str, str],
    group_by_query: dict[str, str],
    source_by_query: Mapping[str, str] | None = None,
) -> Kept:
    """Leave out queries that nearly repeat one of a split that is kept first; link the others.

    Queries of one source are linked too, where sources are given. ``near_duplicates`` counts
    queries that are nearly the same as another one.
    """
    queries = list(splits)
    like = like_groups([texts[query] for query in queries])
    counts = np.bincount(like)
    order = {split: place for place, split in enumerate(KEPT_FIRST)}
    places = np.array([order[splits[query]] for query in queries], np.int64)
    best = np.full(len(counts), len(KEPT_FIRST))
    np.minimum.at(best, like, places)
    kept = best[like] == places
    remaining = {query: splits[query] for query, keep in zip(queries, kept, strict=True) if keep}
    label = {query: int(number) for query, number in zip(queries, like, strict=True)}
    linked = _linked({query: group_by_query[query] for query in remaining}, label)
    if source_by_query:
        linked = _linked(linked, {query: source_by_query.get(query, query) for query in remaining})
    first = {label[query]: query for query in reversed(remaining)}
    left_out = {query: first[label[query]] for query in queries if query not in remaining}
    return Kept(remaining, linked, int((counts[like] > 1).sum()), left_out)


def _linked(group_by_query: dict[str, str], like: Mapping[str, Hashable]) -> dict[str, str]:
    """Every query's group, where groups that hold queries with an equal ``like`` are one."""
    first: dict[str, str] = {group: group for group in group_by_query.values()}

    def root(group: str) -> str:
        while first[group] != group:
            first[group] = first[first[group]]
            group = first[group]
        return group

    seen: dict[Hashable, str] = {}
    for query, group in group_by_query.items():
        one, other = sorted([root(group), root(seen.setdefault(like[query], group))])
        first[other] = one
    return {query: root(group) for query, group in group_by_query.items()}


def cut_missing_splits(
    splits: dict[str, str],
    group_by_query: dict[str, str],
    rule: SplitRule,
    *,
    linked: dict[str, str] | None = None,
    times: dict[str, float] | None = None,
) -> dict[str, str]:
    """The splits with test and dev cut from train and gate from dev, where there are none.

    Groups that are ``linked`` under one name go together. With ``times``, test and dev are the
    latest queries of what they are cut from, by group.
    """
    for source, target in CUTS:
        given = target in splits.values()
        if given or not (rule.share(target) or target == "dev"):
            continue
        queries = [query for query, split in splits.items() if split == source]
        order = _order(queries, group_by_query, rule, target, times)
        chosen = _chosen(queries, linked or group_by_query, order, rule.share(target))
        splits = {**splits, **dict.fromkeys(chosen, target)}
    return splits


def _chosen(
    queries: list[str], groups: dict[str, str], order: list[str], share: float
) -> list[str]:
    """The queries whose groups make up the share, taken in the order of these queries."""
    members: dict[str, list[str]] = {}
    for query in queries:
        members.setdefault(groups[query], []).append(query)
    wanted, taken, chosen = round(share * len(queries)), 0, list[str]()
    left = dict.fromkeys(groups[query] for query in order)
    for group in list(left)[:-1]:  # one group stays at least
        if taken >= wanted:
            break
        chosen += members[group]
        taken += len(members[group])
    return chosen


def _order(
    queries: list[str],
    group_by_query: dict[str, str],
    rule: SplitRule,
    target: str,
    times: dict[str, float] | None,
) -> list[str]:
    """One query of each group in the order in which they are taken: the latest, or at random."""
    if times is not None and target != "gate":
        return sorted(queries, key=lambda query: (-times[query], group_by_query[query], query))
    first: dict[str, str] = {}
    for query in queries:
        first.setdefault(group_by_query[query], query)
    groups = sorted(first)
    drawn = generator(rule.seed, "split", target).permutation(len(groups))
    return [first[groups[place]] for place in np.asarray(drawn)]


def times_of(fields: dict[str, dict[str, str]], rule: SplitRule) -> dict[str, float]:
    """Every query's time: a number, or a date in ISO form as seconds since 1970.

    Raises `InputError` for a query without one.
    """
    name, found = rule.time_field, {}
    for query, values in fields.items():
        value = values.get(name)
        number = None if value is None else _time(value)
        if number is None:
            raise InputError(_no_time(fields, query, rule))
        found[query] = number
    return found


def _no_time(fields: dict[str, dict[str, str]], query: str, rule: SplitRule) -> str:
    name, by_time = rule.time_field, rule.wording.value("split_by", "time")
    there = sorted({field for values in fields.values() for field in values})
    if name not in there:
        way = f"{rule.wording.key('time_field')} takes another name: " if there else ""
        has = f"the fields are {', '.join(there)}" if there else "they have no fields at all"
        return f"{by_time}: no query has the field {name!r}; {way}{has}"
    value = fields[query].get(name)
    what = f"has no field {name!r}" if value is None else f"field {name!r} is {shown(value)}"
    return f"{by_time}: query {query!r}: {what}, expected a number or a date like 2026-01-31"


def _time(text: str) -> float | None:
    number = as_number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
