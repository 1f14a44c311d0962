"""The config of a run: every field with its unit, range and default; the flows' parameters too."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

EXECUTION: JsonDict = {"strop": "execution"}
"""Marks a field that says where or how wide a stage runs, and so never changes its result."""

BUNDLED = "bundled"
"""The model name that stands for the MiniLM that strop installs with itself."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BiEncoder(Section):
    """The first stage's encoder, any sentence-transformers model."""

    model: str = BUNDLED
    """Folder, Hugging Face name, or `bundled` for the MiniLM that comes with strop."""
    query_prompt: str = ""
    """Text put before every query, as the model's card asks."""
    passage_prompt: str = ""
    """Text put before every passage."""
    max_tokens: int = Field(default=128, ge=8, le=32768)
    """Tokens of a passage or query that are encoded; the rest is cut."""
    shard_passages: int = Field(default=4096, ge=16)
    """Passages encoded into one shard of the embeddings."""
    batch_tokens: int = Field(default=8192, ge=64)
    """Padded tokens in one batch."""


class FirstStage(Section):
    """How candidates are retrieved."""

    depth: int = Field(default=100, ge=1, le=10_000)
    """Candidates kept for each query."""


class Reranker(Section):
    """The cross-encoder that is tuned: any sequence-classification model."""

    base: str = BUNDLED
    """Folder, Hugging Face name, or `bundled`; a base without a one-logit head gets a fresh one."""
    max_tokens: int = Field(default=256, ge=16, le=32768)
    """Tokens of a pair, special tokens included; the passage is cut first."""
    max_query_tokens: int = Field(default=64, ge=4, le=8192)
    """Tokens of the query within a pair."""
    batch_tokens: int = Field(default=8192, ge=64)
    """Padded tokens in one scoring batch."""
    shard_pairs: int = Field(default=16_384, ge=64)
    """Pairs that are sorted by length together and cut into batches."""
    trust_remote_code: bool = False
    """Whether the base model's own code may run. Only for code that you have read."""


class Mining(Section):
    """How hard negatives are chosen from the candidates."""

    pool_size: int = Field(default=50, ge=1, le=10_000)
    """Candidates of a training query that the last reranker scores and mines."""
    window_size: int = Field(default=100, ge=1, le=10_000)
    """Candidates of a training query that may become negatives. Those past the pool are not
    scored and cost no forward pass; where the first stage mines, all of them are the pool."""
    min_rank: int = Field(default=1, ge=1)
    """First first-stage rank of the pool."""
    group_size: int = Field(default=16, ge=2, le=1024)
    """Members of a training group: one positive and `group_size - 1` negatives."""
    queries_per_round: int | None = Field(default=None, ge=1)
    """Training queries of one round, fresh ones first; null takes all."""
    margin: float = Field(default=0.0, ge=-100, le=100)
    """A candidate that scores above its positive minus `margin` is a suspect, a probable unlabelled
    positive. In reranker logits over `training.temperature`; below 0 it tolerates more."""
    first_stage_margin: float = Field(default=0.0, ge=-100, le=100)
    """The same, in first-stage score units, for rounds that mine from the first stage."""
    positive_reference: Literal["weakest", "mean", "strongest"] = "mean"
    """Which of several positives of a query the margin is measured from."""
    suspects: Literal["drop", "keep"] = "drop"
    """Whether suspects are left out of the negatives or used all the same."""
    sampler: Literal["top", "uniform", "mixed"] = "mixed"
    """Negatives by score (`top`), at random from the pool (`uniform`), or `hard_share` of the
    group by score and the rest at random (`mixed`)."""
    hard_share: float = Field(default=0.5, ge=0, le=1)
    """Share of a mixed group that is taken by score in the last round; earlier rounds take less,
    so that negatives go from easy to hard."""


class Training(Section):
    """How the cross-encoder is fine-tuned in one round."""

    epochs: int = Field(default=1, ge=1, le=100)
    """Passes over the round's groups."""
    learning_rate: float = Field(default=2e-5, gt=0, le=1)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """The learning rate's course over all rounds together, after the warm-up."""
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of all rounds' steps in which the learning rate rises to its peak."""
    groups_per_step: int = Field(default=8, ge=1, le=4096)
    """Groups whose gradients make one optimizer step."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the logits before the softmax over the group."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Replaces the base model's dropout; null keeps it."""
    micro_batch_tokens: int = Field(default=2048, ge=64)
    """Padded tokens in one forward pass."""
    graph_tokens: int = Field(default=65_536, ge=64)
    """Tokens whose graphs are kept for one backward pass; bounds the memory of training. A group
    is never divided."""
    frozen_layers: int = Field(default=0, ge=0, le=1000)
    """Lowest layers that stay as they are, together with the embeddings; 0 trains everything."""
    start: Literal["last_round", "base"] = "last_round"
    """The weights that a round starts from."""


class Evaluation(Section):
    """What is measured after each round."""

    metrics: tuple[str, ...] = ("nDCG@10", "AP", "RR@10", "P@1")
    """Metrics by their ir-measures names; the first one decides."""
    depth: int = Field(default=50, ge=1, le=10_000)
    """Candidates of a query that are reranked; the rest keeps the first stage's order below."""

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


class Decision(Section):
    """When a round is accepted and a challenger promoted."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of the one-sided tests."""
    tolerance: float = Field(default=0.02, ge=0, le=1)
    """Loss on dev against the last accepted round at which a round is rejected."""
    champion: Name | None = None
    """Name of the champion's ref; null takes the run's name."""
    min_gate_queries: int = Field(default=50, ge=1)
    """Fewer gate queries than this promote nothing."""


class Execution(Section):
    """Where a run happens; nothing here changes a result."""

    threads: int | None = Field(default=None, ge=1, json_schema_extra=EXECUTION)
    """Threads of the numerical libraries; null leaves it to them."""


class Config(Section):
    """One run: a named series of rounds over one data set."""

    name: Name = "my-corpus"
    """Name of the run; the same name with the same config resumes."""
    dataset: str = "data"
    """A folder in BEIR layout, or the id of an imported dataset artifact."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Root of all randomness."""
    rounds: int = Field(default=3, ge=1, le=100)
    """Rounds of mining and training."""
    dev_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of train queries kept as dev when the data set has no dev split."""
    gate_share: float = Field(default=0.5, ge=0, lt=1)
    """Share of dev queries kept for the promotion gate when the data set has no gate split."""
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
        if mining.group_size - 1 > mining.window_size:
            raise ValueError(
                f"mining.group_size = {mining.group_size} needs more negatives than "
                f"mining.window_size = {mining.window_size} holds"
            )
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
        return self

    @property
    def champion(self) -> str:
        """The name of the champion's ref."""
        return self.decision.champion or self.name

    def identity(self) -> dict[str, Any]:
        """The values that change results, as JSON; where and how wide it runs is left out."""
        return self.model_dump(mode="json", exclude={"execution"})
