"""Training groups with their scores: what every loss is computed from."""

from dataclasses import dataclass
from functools import cached_property

import torch

from strop.pipeline.errors import InputError


@dataclass(frozen=True)
class ScoredGroups:
    """Ragged groups of one positive and its negatives, with a score for every member.

    One entry a member, the members of a group next to each other: ``scores`` (logits, float32 or
    float64), ``group_of_member`` (0, 1, … ascending), ``member_weights`` (1, or between 0 and 1 for
    a negative that is probably an unlabelled positive), ``grades`` (at least 1 for the positive, 0
    for negatives) and ``teacher_scores`` (a teacher's logits, or None). One entry a group:
    ``positive_members`` (the place of its positive, which is its first member) and
    ``group_weights``. A query's other positives are in none of its groups. ``largest`` is the size
    of the largest group, so that nobody has to wait for a GPU to know it.

    Losses work on rows: one row a group, padded to the largest group, the positive in column 0.
    """

    scores: torch.Tensor
    group_of_member: torch.Tensor
    positive_members: torch.Tensor
    group_weights: torch.Tensor
    member_weights: torch.Tensor
    grades: torch.Tensor
    teacher_scores: torch.Tensor | None
    largest: int

    def rows(self, values: torch.Tensor, *, padding: float = 0.0) -> torch.Tensor:
        """The members' values as rows, shape (groups, members of the largest group)."""
        rows = values.new_full((len(self.positive_members), self.largest), padding)
        return rows.index_put((self.group_of_member, self._places), values)

    @cached_property
    def present(self) -> torch.Tensor:
        """Which places of the rows hold a member."""
        return self.rows(torch.ones_like(self.group_of_member, dtype=torch.bool))

    @cached_property
    def negatives(self) -> torch.Tensor:
        """Which places of the rows hold a negative."""
        negatives = self.present.clone()
        negatives[:, 0] = False
        return negatives

    @cached_property
    def weight_rows(self) -> torch.Tensor:
        """The members' weights as rows, 0 where nobody is."""
        return self.rows(self.member_weights.to(self.scores.dtype))

    @cached_property
    def log_weight_rows(self) -> torch.Tensor:
        """The logarithms of the members' weights as rows, minus infinity where nobody is."""
        return self.rows(self.member_weights.to(self.scores.dtype).log(), padding=-torch.inf)

    def margins(self, values: torch.Tensor) -> torch.Tensor:
        """How far the positive is above every member, as rows; 0 where nobody is."""
        rows = self.rows(values)
        return torch.where(self.present, rows[:, :1] - rows, torch.zeros_like(rows))

    def mean(self, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Each group's mean of rows over some places, by the members' weights; 0 of no places."""
        weights = self.weight_rows * places
        total = weights.sum(dim=1)
        return (weights * values).sum(dim=1) / torch.where(total > 0, total, 1.0)

    def weighted_sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of one value a group, by the groups' weights."""
        return (self.group_weights.to(values.dtype) * values).sum()

    def teacher_logits(self, loss: str) -> torch.Tensor:
        """The teacher's scores; raises `InputError` naming the loss when there are none."""
        if self.teacher_scores is None:
            raise InputError(
                f"training.losses has {loss}, which needs a teacher's score of every member; the "
                "groups have none: set mining.teacher"
            )
        return self.teacher_scores.to(self.scores.dtype).detach()

    @cached_property
    def _places(self) -> torch.Tensor:
        """Every member's column in its row."""
        members = torch.arange(len(self.scores), device=self.scores.device)
        return members - self.positive_members[self.group_of_member]
