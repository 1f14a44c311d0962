"""Training groups: one positive with its query's negatives, of unequal size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from strop.pipeline.arrays import Ints, ModelFloats
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.mining.curriculum import epoch_order
from strop.pipeline.ragged import Ragged, copy_ranges, offsets_from_lengths
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.seeds import generator


@dataclass(frozen=True)
class Members:
    """One entry a member: its passage's row of the cached tokens, and what losses read of it.

    Scores that nobody knows are NaN. First-stage scores are standardised within the group once
    groups are planned: a group's mean is 0 and its spread 1, and a member without a score has the
    group's lowest.
    """

    passage_rows: Ints
    weights: ModelFloats
    grades: Ints
    first_stage_scores: ModelFloats
    teacher_scores: ModelFloats

    def take(self, places: Ints) -> "Members":
        """The members at these places."""
        return Members(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Groups:
    """Group ``i`` has query row ``query_rows[i]`` and the members between its two offsets.

    The first member is the positive. ``queries`` are the queries of one epoch, ``replayed`` tells
    the groups that come from earlier rounds.
    """

    query_rows: Ints
    weights: ModelFloats
    members: Members
    offsets: Ints
    queries: int
    replayed: np.ndarray[Any, np.dtype[np.bool_]]

    def __len__(self) -> int:
        """The number of groups."""
        return len(self.query_rows)

    @property
    def sizes(self) -> Ints:
        """The number of members of every group."""
        return np.diff(self.offsets)

    @property
    def pairs(self) -> int:
        """The number of pairs of all groups."""
        return int(self.offsets[-1])


@dataclass(frozen=True)
class _Lists:
    """The queries of some negatives tables; the lists are places among all members."""

    query_rows: Ints
    weights: ModelFloats
    difficulty: np.ndarray[Any, np.dtype[np.float64]]
    positives: Ragged
    negatives: Ragged
    members: Members

    @property
    def sizes(self) -> Ints:
        """The members of every query's group."""
        return self.negatives.lengths + 1


def plan_groups(
    negatives: pa.Table,
    source: PairSource,
    config: Config,
    *,
    round_number: int,
    earlier: Sequence[pa.Table] = (),
) -> Groups:
    """A round's groups in training order: every query once an epoch, in the curriculum's order.

    A query with several positives gets one of them, drawn anew in every epoch; the others are in
    no group of its own (they are never among its negatives). With ``pairs_per_round``, epochs are
    cut or added until another group would exceed the budget. With ``replay_share``, groups drawn
    from the ``earlier`` tables take that share of the places.
    Raises `InputError` when not even one group is within the budget.
    """
    lists = _read([negatives, *earlier], source)
    current = np.arange(negatives.num_rows)
    if not len(current):
        return _gather(lists, current, current, num_queries=0)
    budget = config.training.pairs_per_round
    chosen, drawn, pairs = [], [], 0
    for epoch in _epochs(lists, current, config, round_number):
        chosen.append(epoch[0])
        drawn.append(epoch[1])
        pairs += int(lists.sizes[epoch[0]].sum())
        if len(chosen) >= config.training.epochs if budget is None else pairs > budget:
            break
    queries, positives = np.concatenate(chosen), np.concatenate(drawn)
    kept = np.cumsum(lists.sizes[queries]) <= (pairs if budget is None else budget)
    if not kept.any():
        raise InputError(
            f"training.pairs_per_round = {budget}: round {round_number} begins with a group of "
            f"{lists.sizes[queries[0]]} pairs; raise it to that at least"
        )
    return _gather(lists, queries[kept], positives[kept], num_queries=len(current))


def _epochs(
    lists: _Lists, current: Ints, config: Config, round_number: int
) -> Iterator[tuple[Ints, Ints]]:
    """Each epoch's queries and the one of its positives that each of them gets, without end."""
    course, epoch = config.mining.curriculum.epoch, 0
    replayed = _replayed(lists, len(current), config, round_number)
    while True:
        random = generator(config.seed, "groups", round_number, epoch)
        order = np.array(epoch_order(lists.difficulty[current], course, random), np.int64)
        if replayed is not None:
            count = round(config.training.replay_share * len(order))
            places = random.choice(len(order), count, replace=False)
            order[places] = np.fromiter(islice(replayed, count), np.int64, count)
        yield order, random.integers(lists.positives.lengths[order])
        epoch += 1


def _replayed(
    lists: _Lists, num_current: int, config: Config, round_number: int
) -> Iterator[int] | None:
    """Queries of earlier rounds in a seeded order, again from the start when all were used."""
    earlier = np.arange(num_current, len(lists.query_rows))
    if not config.training.replay_share or not len(earlier):
        return None
    random = generator(config.seed, "replay", round_number)

    def draw() -> Iterator[int]:
        while True:
            yield from random.permutation(earlier).tolist()

    return draw()


def _gather(lists: _Lists, queries: Ints, positives: Ints, *, num_queries: int) -> Groups:
    offsets = offsets_from_lengths(lists.sizes[queries])
    places = np.zeros(offsets[-1], np.int64)
    places[offsets[:-1]] = lists.positives.flat[lists.positives.offsets[queries] + positives]
    copy_ranges(
        places,
        offsets[:-1] + 1,
        lists.negatives.flat,
        lists.negatives.offsets[queries],
        lists.negatives.lengths[queries],
    )
    members = lists.members.take(places)
    members.first_stage_scores[:] = standardised(members.first_stage_scores, offsets)
    return Groups(
        lists.query_rows[queries],
        lists.weights[queries],
        members,
        offsets,
        num_queries,
        queries >= num_queries,
    )


def standardised(scores: ModelFloats, offsets: Ints) -> ModelFloats:
    """Scores less their group's mean, over its standard deviation; groups lie between offsets.

    NaN takes the group's lowest score; a group without spread or without scores is 0.
    """
    if not len(scores):
        return scores
    starts, sizes = offsets[:-1], np.diff(offsets)
    known = np.where(np.isnan(scores), np.inf, scores).astype(np.float64)
    lowest = np.minimum.reduceat(known, starts)
    lowest = np.repeat(np.where(np.isinf(lowest), 0.0, lowest), sizes)
    filled = np.where(np.isnan(scores), lowest, scores)
    centred = filled - np.repeat(np.add.reduceat(filled, starts) / sizes, sizes)
    spread = np.repeat(np.sqrt(np.add.reduceat(centred**2, starts) / sizes), sizes)
    flat = spread <= 1e-6 * np.maximum(1.0, np.abs(filled))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread)).astype(np.float32)


def _read(tables: Sequence[pa.Table], source: PairSource) -> _Lists:
    positives = [_flat(table["positives"]) for table in tables]
    negatives = [_flat(table["negatives"]) for table in tables]
    first = sum(len(structs) for structs, _ in positives)
    members = [
        _members(pa.concat_arrays([structs for structs, _ in lists]), source)
        for lists in (positives, negatives)
    ]
    weights = np.concatenate([table["weight"].to_numpy() for table in tables])
    difficulty = [
        pc.fill_null(table["difficulty"], 0.0).to_numpy().astype(np.float64) for table in tables
    ]
    return _Lists(
        np.concatenate([source.queries.rows(table["query_id"]) for table in tables]),
        weights.astype(np.float32),
        np.nan_to_num(np.concatenate(difficulty), nan=0.0),
        _places([lengths for _, lengths in positives], start=0),
        _places([lengths for _, lengths in negatives], start=first),
        Members(
            *(
                np.concatenate([getattr(part, name) for part in members])
                for name in Members.__dataclass_fields__
            )
        ),
    )


def _flat(column: pa.ChunkedArray) -> tuple[pa.StructArray, Ints]:
    """The entries of a list column one after another, and the length of every list."""
    lists = column.combine_chunks()
    return lists.flatten(), pc.list_value_length(lists).to_numpy(zero_copy_only=False)


def _places(lengths: list[Ints], *, start: int) -> Ragged:
    offsets = offsets_from_lengths(np.concatenate(lengths).astype(np.int64))
    return Ragged(start + np.arange(offsets[-1]), offsets)


def _members(structs: pa.StructArray, source: PairSource) -> Members:
    """The members of a list column's entries: positives have a grade, negatives a weight."""
    names = {field.name for field in structs.type}
    count = len(structs)
    return Members(
        source.passages.rows(structs.field("passage_id")),
        _floats(structs, "weight") if "weight" in names else np.ones(count, np.float32),
        _integers(structs, "grade") if "grade" in names else np.zeros(count, np.int64),
        _floats(structs, "first_stage_score"),
        _floats(structs, "teacher_score"),
    )


def _floats(structs: pa.StructArray, name: str) -> ModelFloats:
    column = structs.field(name).cast(pa.float32())
    return np.array(column.to_numpy(zero_copy_only=False), np.float32)


def _integers(structs: pa.StructArray, name: str) -> Ints:
    return np.array(structs.field(name).to_numpy(zero_copy_only=False), np.int64)
