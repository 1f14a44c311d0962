"""What is measured after each round, and what follows from it."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from strop.pipeline.config.section import Name, Named, Section


class Evaluation(Section):
    """What is measured after each round."""

    metrics: tuple[str, ...] = ("nDCG@10", "AP", "RR@10", "P@1")
    """Metrics by their ir-measures names; the first one decides."""
    depth: int = Field(default=50, ge=1, le=10_000)
    """Candidates of a query that are reranked; the rest keeps the first stage's order below."""
    depths: tuple[Annotated[int, Field(ge=1)], ...] = (10, 20, 50, 100, 200)
    """Smaller depths at which quality and latency are told too; those past `depth` are left out."""
    calibration: Literal["none", "platt", "isotonic", "temperature"] = "none"
    """How the last accepted round's logits become probabilities: fitted on dev after all rounds."""

    slices: tuple[str, ...] | None = None
    """Fields of the queries' metadata, `group_id` or `weight`, by which slices are told beside
    query length, positives, first-stage rank and difficulty; null takes every field of few
    values."""

    off_the_shelf: str | None = None
    """Folder or Hugging Face name of a reranker as others trained it, to be reported beside the
    rounds; null measures none. Its own code never runs."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """The depths that are told, rising: those below ``depth``, and ``depth`` itself."""
        return tuple(sorted({self.depth, *(cut for cut in self.depths if cut < self.depth)}))

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from strop.pipeline.evaluation.metrics import parse_metric

        if not value:
            raise ValueError("is empty, expected ir-measures names such as nDCG@10")
        for name in value:
            parse_metric(name)
        return value

    bootstrap_samples: int = Field(default=10_000, ge=100, le=1_000_000)
    """Resamples behind every confidence interval and p-value."""


class GuardSet(Section):
    """Queries that a promotion must not break: of another domain, or too important to lose."""

    name: Name
    """What reasons and tables call it."""
    dataset: Named = Field(min_length=1)
    """A folder in BEIR layout, or the id of an imported dataset artifact."""
    split: Literal["train", "dev", "gate", "test"] = "test"
    """The split whose queries are measured; of a folder, no other is read."""
    tolerance: float = Field(default=0.02, ge=0, le=1)
    """Loss of the first metric against the champion that is tolerated: what a promotion must rule
    out is a larger one."""


class Decision(Section):
    """When a round is accepted and a challenger promoted."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of the one-sided tests."""
    tolerance: float = Field(default=0.02, ge=0, le=1)
    """Loss on dev against the last accepted round at which a round is rejected."""
    patience: int | None = Field(default=None, ge=1)
    """Rounds rejected in a row after which a run makes no more; null makes all rounds."""
    champion: Name | None = None
    """Name of the champion; null takes the run's name."""
    approval: bool = False
    """Whether a person promotes: a challenger that won awaits `strop promote`, and the run ends."""
    min_gate_queries: int = Field(default=50, ge=1)
    """Fewer judged gate queries than this promote nothing."""
    guard_sets: tuple[GuardSet, ...] = ()
    """Queries that a promotion must not break, besides gaining on the gate."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [guard.name for guard in self.guard_sets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"decision.guard_sets has two sets named {name!r}, expected one")
        return self
