"""How a round chooses its queries, their pools, and the negatives among them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from strop.pipeline.config.section import Named, Section

GIVEN = "given"
"""What came with the data: the source of a pool, or the teacher."""
Judge = Literal["mining", "teacher", "earlier_round"]


class Pool(Section):
    """More candidates to mine, besides the first stage's."""

    source: str
    """`dense`, `bm25`, `fused`, `given` (the negatives that the data set came with), a name of
    `first_stage.more_encoders`, or a run file's path."""
    min_rank: int = Field(default=1, ge=1)
    """First rank that is taken."""
    size: int = Field(default=20, ge=1, le=10_000)
    """Candidates of a query that are taken and scored."""
    quota: float | None = Field(default=None, gt=0, le=1)
    """Share of a group's negatives that must come from here; null lets them compete."""


class Quotas(Section):
    """Where the negatives of a `mixed` group come from; the shares sum to 1."""

    reranker_hard: float = Field(default=0.5, ge=0, le=1)
    """The highest by the score that mines, in the last round; see `mining.curriculum`."""
    first_stage_hard: float = Field(default=0.0, ge=0, le=1)
    """The highest by the first stage's score."""
    in_batch: float = Field(default=0.0, ge=0, le=1)
    """Positives of other queries of the round."""
    random: float = Field(default=0.5, ge=0, le=1)
    """At random from the window."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.reranker_hard + self.first_stage_hard + self.in_batch + self.random
        if abs(total - 1) > 1e-6:
            raise ValueError(f"mining.quotas sum to {total:g}, expected 1")
        return self


class Guard(Section):
    """Which candidates are suspects: probable positives that nobody has labelled."""

    rule: Literal["margin", "probability", "relative", "percentage", "none"] = "margin"
    """`margin`: above the positive minus `margin`. `probability`: probably relevant by a
    calibration on dev. `relative`: above positive - |positive| · `margin`. `percentage`: above
    `margin` · positive (TopK-PercPos). The last two move when all scores move together: they are
    for cosines and calibrated scores."""
    margin: float = Field(default=0.0, ge=-100, le=100)
    """Of rule `margin`: in logits over `training.temperature`; below 0 it tolerates more. Of
    `relative` and `percentage`: a share of the positive's score, from 0 to 1."""
    first_stage_margin: float = Field(default=0.0, ge=-100, le=100)
    """The same in first-stage scores, where the first stage mines."""
    probability: float = Field(default=0.5, gt=0, lt=1)
    """Of rule `probability`: a candidate more probably relevant than this is a suspect."""
    caught_share: float | None = Field(default=None, gt=0, lt=1)
    """Fits the margin or probability instead: known positives are hidden one at a time, and the
    threshold is set so that this share of them is caught. Null takes the values above."""
    positive_reference: Literal["weakest", "mean", "strongest"] = "mean"
    """Which of several positives of a query the margin is measured from."""
    max_score: float | None = None
    """A candidate above this score is a suspect, whatever its positive's score; in the scores that
    mine, so in a round that the first stage mines in its own."""
    min_score: float | None = None
    """A candidate below this score is too easy and skipped; in the scores that mine, likewise."""
    judges: tuple[Judge, ...] = Field(default=("mining",), min_length=1)
    """Whose scores the rule reads: those that mine, `mining.teacher`'s, and those of the reranker
    of the round before the last; the last two by `margin`."""
    agreement: Literal["any", "all"] = "any"
    """Whether one judge makes a suspect, or all of them together."""
    near_duplicate: float | None = Field(default=0.9, gt=0, le=1)
    """A candidate that shares this much of its words with a positive (Jaccard) is skipped as its
    duplicate; null compares whole texts only."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rule in ("relative", "percentage"):
            for name in ("margin", "first_stage_margin"):
                value = getattr(self, name)
                if not 0 <= value <= 1:
                    raise ValueError(
                        f"mining.guard.{name} = {value:g}: rule {self.rule} takes a share of the "
                        "positive's score, from 0 to 1"
                    )
                if self.rule == "percentage" and value == 0:
                    raise ValueError(
                        f"mining.guard.{name} = 0: rule percentage would refuse every candidate "
                        "with a score above 0, expected a share such as 0.95"
                    )
        if None not in (self.min_score, self.max_score) and self.min_score >= self.max_score:  # type: ignore[operator]
            raise ValueError(
                f"mining.guard.min_score = {self.min_score:g} is not below "
                f"mining.guard.max_score = {self.max_score:g}"
            )
        if self.caught_share is not None and self.rule in ("none", "relative", "percentage"):
            raise ValueError(
                f"mining.guard.caught_share fits rules margin and probability, not {self.rule}"
            )
        if len(set(self.judges)) < len(self.judges):
            raise ValueError("mining.guard.judges names a judge twice")
        return self


Course = Literal["linear", "root", "step", "none"]


class Curriculum(Section):
    """From easy to hard: over the rounds, and within an epoch."""

    rounds: Course = "linear"
    """How the share of hard negatives grows from 0 to its quota in the last round: in equal steps,
    as a square root (early), all at once half-way, or whole from the start."""
    epoch: Course = "none"
    """How queries join an epoch, the easy ones first; `none` takes them at random."""


class Mining(Section):
    """How hard negatives are chosen from the candidates."""

    miner: Literal["last_round", "first_round", "first_stage"] = "last_round"
    """Which scores mine: those of the last accepted round's reranker; always those that mined
    round 1; or always the first stage's, which cost no forward pass, with other draws in every
    round."""
    cross_fit: bool = True
    """Whether the reranker that mines a query must never have trained on it: each round takes
    fresh queries while there are enough, else halves or folds take turns."""
    folds: int = Field(default=2, ge=2, le=20)
    """Folds of cross-fitting where fresh queries do not suffice: each fold is mined by a reranker
    of its own, trained on the others."""
    queries_per_round: int | None = Field(default=None, ge=1)
    """Training queries of one round; null takes as many as there are for it."""
    pool_size: int = Field(default=50, ge=1, le=10_000)
    """First-stage candidates of a training query that the last reranker scores and mines."""
    window_size: int = Field(default=100, ge=1, le=10_000)
    """First-stage candidates of a training query that may become negatives. Those past the pool
    are not scored and cost no forward pass; where the first stage mines, all are the pool."""
    min_rank: int = Field(default=1, ge=1)
    """First first-stage rank of the pool."""
    more_pools: tuple[Pool, ...] = ()
    """More candidates to mine, by another retriever or from a run file."""
    group_size: int = Field(default=16, ge=2, le=1024)
    """Members of a training group on average: one positive and `group_size - 1` negatives."""
    group_size_min: int | None = Field(default=None, ge=2, le=1024)
    """Members of the easiest queries' groups; null is `group_size`."""
    group_size_max: int | None = Field(default=None, ge=2, le=1024)
    """Members of the most competitive queries' groups; null is `group_size`."""
    difficulty_margin: float = Field(default=2.0, ge=-100, le=100)
    """A query's difficulty is the share of its pool above its positive minus this margin, in
    logits over `training.temperature`; in spreads of the first stage where that mines."""
    feedback: bool = False
    """Whether the mean group size shrinks by a quarter after a round that became over-conservative:
    dev ranks hardly better (by less than 0.01) although the means of positives and others stand
    further apart (by more than 0.1 pooled standard deviations)."""
    guard: Guard = Guard()
    suspects: Literal["drop", "down_weight", "relabel", "keep"] = "drop"
    """What becomes of suspects: no negatives, negatives of less weight, positives where they are
    probable enough (and dropped elsewhere), or negatives like any other."""
    suspect_weight: float = Field(default=0.25, gt=0, lt=1)
    """Weight of a suspect that is used as a negative with `suspects: down_weight`."""
    relabel_probability: float = Field(default=0.9, gt=0, lt=1)
    """A suspect more probably relevant than this becomes a positive with `suspects: relabel`."""
    teacher: Named | None = None
    """A reranker whose scores judge suspects or teach: folder, Hugging Face name or id in the
    store; or `given`, the scores that came with the data."""
    verdicts: Named | None = None
    """Id of a verdicts artifact: what people said of suspects, as `strop review` keeps it."""
    sampler: Literal["top", "uniform", "log_rank", "simans", "quantile", "mixed"] = "mixed"
    """Negatives by score, at random from the window, at random with low ranks preferred, near the
    positive's score (SimANS), from a band of score quantiles, or from several by `quotas`."""
    quotas: Quotas = Quotas()
    simans_steepness: float = Field(default=0.5, gt=0, le=1000)
    """The factor a of SimANS: the chance of a candidate is exp(-a · (score - positive - b)²)."""
    simans_offset: float = Field(default=0.0, ge=-100, le=100)
    """The offset b of SimANS, in mining scores."""
    quantile_low: float = Field(default=0.5, ge=0, le=1)
    """Lower end of the band of sampler `quantile`: 0 is the easiest candidate, 1 the hardest."""
    quantile_high: float = Field(default=0.95, ge=0, le=1)
    """Upper end of that band."""
    curriculum: Curriculum = Curriculum()

    @property
    def offers_given(self) -> bool:
        """Whether passages that came with the data are mined."""
        return any(pool.source == GIVEN for pool in self.more_pools)

    @property
    def group_sizes(self) -> tuple[int, int]:
        """The bounds of the group sizes."""
        return self.group_size_min or self.group_size, self.group_size_max or self.group_size

    @model_validator(mode="after")
    def _possible(self) -> Self:
        low, high = self.group_sizes
        if not low <= self.group_size <= high:
            raise ValueError(
                f"mining.group_size = {self.group_size} is not between "
                f"mining.group_size_min = {low} and mining.group_size_max = {high}"
            )
        if self.quantile_low >= self.quantile_high:
            raise ValueError(
                f"mining.quantile_low = {self.quantile_low:g} is not below "
                f"mining.quantile_high = {self.quantile_high:g}"
            )
        if "teacher" in self.guard.judges and not self.teacher:
            raise ValueError("mining.guard.judges names the teacher, but mining.teacher is null")
        if sum(pool.quota or 0 for pool in self.more_pools) > 1 + 1e-6:
            raise ValueError("mining.more_pools: the quotas sum to more than 1")
        return self
