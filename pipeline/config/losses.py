"""The losses of a training group, each with its own parameters."""

from typing import Annotated, Literal

from pydantic import Field

from strop.pipeline.config.section import Section

Weight = Annotated[float, Field(gt=0, le=1000)]


class GroupSoftmax(Section):
    """Softmax cross-entropy of the positive over its group (InfoNCE)."""

    name: Literal["group_softmax"] = "group_softmax"
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""


class BinaryCrossEntropy(Section):
    """Every pair by itself: relevant or not."""

    name: Literal["binary_cross_entropy"]
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""
    positive_weight: float = Field(default=1.0, gt=0, le=10_000)
    """How many negatives a positive counts for."""


class Circle(Section):
    """Circle loss over the logits' sigmoids."""

    name: Literal["circle"]
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""
    margin: float = Field(default=0.25, ge=0, lt=1)
    """The relaxation m of the paper: positives are drawn above 1 - m, negatives below m."""
    scale: float = Field(default=16.0, gt=0, le=10_000)
    """The scale γ of the paper."""


class Lambda(Section):
    """LambdaLoss with nDCG-Loss2++ weights."""

    name: Literal["lambda"]
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""
    scale: float = Field(default=1.0, gt=0, le=1000)
    """The steepness σ of the pairwise logistic."""
    cutoff: int | None = Field(default=10, ge=1)
    """The rank k of nDCG@k; null counts all ranks."""
    pair_weight: float = Field(default=10.0, ge=0, le=1000)
    """The weight μ of nDCG-Loss2's part against LambdaRank's."""


class MarginMse(Section):
    """Squared distance of the margins to a teacher's margins."""

    name: Literal["margin_mse"]
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""


class Kl(Section):
    """Kullback-Leibler divergence from a teacher's distribution over the group."""

    name: Literal["kl"]
    weight: Weight = 1.0
    """Its share of a weighted sum of losses."""
    teacher_temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the teacher's scores before the softmax."""


Loss = Annotated[
    GroupSoftmax | BinaryCrossEntropy | Circle | Lambda | MarginMse | Kl,
    Field(discriminator="name"),
]
TEACHER_LOSSES = ("margin_mse", "kl")
"""Losses that need the teacher's scores of every member."""
