"""The config of a run: every field with its unit, range and default; the flows' parameters too."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from strop.pipeline.config.data import Data
from strop.pipeline.config.evaluation import Decision, Evaluation
from strop.pipeline.config.execution import EXECUTION, Execution
from strop.pipeline.config.first_stage import FirstStage
from strop.pipeline.config.losses import TEACHER_LOSSES
from strop.pipeline.config.mining import GIVEN, Mining
from strop.pipeline.config.models import BiEncoder, Reranker
from strop.pipeline.config.section import Name, Named, Section
from strop.pipeline.config.training import Training
from strop.pipeline.data.locations import PASSWORD, QUERY
from strop.pipeline.errors import counted

LATER = (
    ("mining", "verdicts"),
    ("evaluation", "calibration"),
    ("evaluation", "off_the_shelf"),
    ("decision", "guard_sets"),
    ("decision", "patience"),
    ("first_stage", "index"),
    ("reranker", "precision"),
    ("bi_encoder", "precision"),
    ("bi_encoder", "own_prompts"),
)
"""Values that are in no identity while they are the default: configs had runs before them."""


class Config(Section):
    """One run: a named series of rounds over one data set."""

    name: Name = "my-corpus"
    """Name of the run; the same name with the same config resumes."""
    dataset: Named = "data"
    """A folder or file of the format that `data` names, or the id of an imported dataset
    artifact."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Root of all randomness."""
    rounds: int = Field(default=3, ge=1, le=100)
    """Rounds of mining and training."""
    dev_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of train queries kept as dev when the data set has no dev split."""
    gate_share: float = Field(default=0.5, ge=0, lt=1)
    """Share of dev queries kept for the promotion gate when the data set has no gate split."""
    data: Data = Data()
    bi_encoder: BiEncoder = BiEncoder()
    first_stage: FirstStage = FirstStage()
    reranker: Reranker = Reranker()
    mining: Mining = Mining()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    decision: Decision = Decision()
    execution: Execution = Field(default=Execution(), json_schema_extra=EXECUTION)

    @field_validator("dataset")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty, expected a BEIR folder or a dataset id")
        if PASSWORD.search(value) or QUERY.fullmatch(value):
            raise ValueError(
                "has a password or a query in its address, and a config is written down; "
                "`strop import` reads such data, expected the id that it prints"
            )
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        mining, last = self.mining, self.mining.min_rank + self.mining.window_size - 1
        if last > self.first_stage.depth:
            raise ValueError(
                f"mining.min_rank + mining.window_size - 1 = {last} reaches past "
                f"first_stage.depth = {self.first_stage.depth}"
            )
        if mining.pool_size > mining.window_size:
            raise ValueError(
                f"mining.pool_size = {mining.pool_size} is larger than "
                f"mining.window_size = {mining.window_size}"
            )
        more = sum(pool.size for pool in mining.more_pools)
        if mining.group_size - 1 > mining.window_size + more:
            raise ValueError(
                f"mining.group_size = {mining.group_size} needs more negatives than "
                f"mining.window_size = {mining.window_size} holds"
            )
        self._check_teacher()
        if self.evaluation.depth > self.first_stage.depth:
            raise ValueError(
                f"evaluation.depth = {self.evaluation.depth} reaches past "
                f"first_stage.depth = {self.first_stage.depth}"
            )
        if self.reranker.max_query_tokens > self.reranker.max_tokens - 8:
            raise ValueError(
                f"reranker.max_query_tokens = {self.reranker.max_query_tokens} leaves no room "
                f"for the passage in reranker.max_tokens = {self.reranker.max_tokens}"
            )
        if self.execution.trainers > self.training.groups_per_step:
            raise ValueError(
                f"execution.processes = {self.execution.processes} on "
                f"{counted(self.execution.nodes, 'nodes')} are more than "
                f"training.groups_per_step = {self.training.groups_per_step}, of which each trains "
                "one group at least"
            )
        return self

    def _check_teacher(self) -> None:
        mining, taught = self.mining, self.taught
        if not taught:
            return
        needs = f"training.losses has {taught}, which needs the scores of a teacher"
        if not mining.teacher:
            raise ValueError(f"{needs}; mining.teacher is null")
        if mining.sampler == "mixed" and mining.quotas.in_batch:
            raise ValueError(
                f"{needs}; mining.quotas.in_batch = {mining.quotas.in_batch:g} takes passages that "
                "no teacher scored, expected 0"
            )
        if mining.teacher == GIVEN and not mining.offers_given:
            raise ValueError(
                f"{needs}; mining.teacher = 'given' scores what came with the data alone, expected "
                "a pool of source given in mining.more_pools"
            )

    @property
    def taught(self) -> str | None:
        """The first loss that needs a teacher's score of every member; None without one."""
        names = (loss.name for loss in self.training.losses)
        return next((name for name in names if name in TEACHER_LOSSES), None)

    @classmethod
    def recorded(cls, values: dict[str, Any]) -> Self:
        """The config of a run's record, which names the data set by its artifact."""
        dataset = str(values["dataset"]).removeprefix("dataset ")
        return cls.model_validate({**values, "dataset": dataset})

    @property
    def champion(self) -> str:
        """The name of the champion's ref."""
        return self.decision.champion or self.name

    def identity(self) -> dict[str, Any]:
        """The values that change results, as JSON; where and how wide it runs is left out."""
        values = self.model_dump(mode="json", exclude={"execution", "data"})
        if said := self.data.said():
            values["data"] = said
        for section, name in LATER:  # a run without them has the ids that it always had
            if getattr(self, section).said().get(name) is None:
                del values[section][name]
        for encoder in values["first_stage"]["more_encoders"].values():
            if encoder["own_prompts"]:
                del encoder["own_prompts"]
        return values
