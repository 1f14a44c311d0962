"""One optimizer step's groups, put together from cached tokens."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from strop.pipeline.arrays import Ints, ModelFloats
from strop.pipeline.ragged import offsets_from_lengths
from strop.pipeline.scoring.on_device import on_device
from strop.pipeline.scoring.pairs import PairTemplate, PairTokens, assemble
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.training.groups import Groups, Members
from strop.pipeline.training.losses.scored_groups import ScoredGroups


class GroupPositions(Dataset[int]):
    """The positions of the groups: what the data loader hands out."""

    def __init__(self, count: int) -> None:
        """Say how many groups there are."""
        self._count = count

    def __len__(self) -> int:
        """The number of groups."""
        return self._count

    def __getitem__(self, index: int) -> int:
        """The position itself."""
        return index


@dataclass(frozen=True)
class GroupBatch:
    """The pairs of some groups, with what the losses read; group ``i`` lies between two offsets.

    ``positions`` are the groups' places in the round, ``epoch`` tells how many epochs are done
    after them.
    """

    positions: Ints
    pairs: PairTokens
    members: Members
    offsets: Ints
    weights: ModelFloats
    epoch: float

    def __len__(self) -> int:
        """The number of groups."""
        return len(self.weights)

    @property
    def tokens(self) -> int:
        """The number of tokens of all pairs."""
        return len(self.pairs.tokens.flat)

    @property
    def tokens_by_group(self) -> Ints:
        """The number of tokens of every group."""
        return np.diff(self.pairs.tokens.offsets[self.offsets])

    def scored(
        self,
        first: int,
        last: int,
        scores: torch.Tensor,
        *,
        teacher_scores: torch.Tensor | None = None,
    ) -> ScoredGroups:
        """The groups ``first`` to ``last - 1`` with the scores of their members.

        The teacher's scores are the members' own, where every member has one, unless given.
        """
        start, end = self.offsets[first], self.offsets[last]
        sizes = np.diff(self.offsets[first : last + 1])

        def tensor(values: ModelFloats | Ints) -> torch.Tensor:
            return on_device(values, scores.device)

        known = self.members.teacher_scores[start:end]
        if teacher_scores is None and not np.isnan(known).any():
            teacher_scores = tensor(known)

        return ScoredGroups(
            scores=scores,
            group_of_member=tensor(np.repeat(np.arange(last - first), sizes)),
            positive_members=tensor(self.offsets[first:last] - start),
            group_weights=tensor(self.weights[first:last]),
            member_weights=tensor(self.members.weights[start:end]),
            grades=tensor(self.members.grades[start:end]),
            teacher_scores=teacher_scores,
            largest=int(sizes.max()),
        )


@dataclass(frozen=True)
class GroupCollator:
    """Puts a step's groups together from cached tokens."""

    groups: Groups
    source: PairSource
    template: PairTemplate

    def __call__(self, positions: list[int]) -> dict[str, GroupBatch]:
        """The batch of these groups, under the one key that the training step reads."""
        return {"groups": self.batch(np.asarray(positions, np.int64))}

    def batch(self, positions: Ints) -> GroupBatch:
        """The groups at these positions; one at least."""
        groups = self.groups
        sizes = groups.sizes[positions]
        offsets = offsets_from_lengths(sizes)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        members = groups.members.take(np.repeat(groups.offsets[positions], sizes) + within)
        pairs = assemble(
            self.source.queries.ragged,
            self.source.passages.ragged,
            np.repeat(groups.query_rows[positions], sizes),
            members.passage_rows,
            template=self.template,
        )
        epoch = int(positions[-1] + 1) / max(groups.queries, 1)
        return GroupBatch(positions, pairs, members, offsets, groups.weights[positions], epoch)
