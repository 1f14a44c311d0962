"""How the cross-encoder is fine-tuned in one round."""

from typing import Literal, Self

from pydantic import Field, model_validator

from strop.pipeline.config.losses import GroupSoftmax, Loss
from strop.pipeline.config.section import Section


class Lora(Section):
    """Low-rank adapters by peft; they are merged into the saved reranker."""

    rank: int = Field(default=16, ge=1, le=1024)
    """Rank of the update of each adapted matrix."""
    alpha: float = Field(default=32.0, gt=0, le=10_000)
    """Scale of the update, divided by the rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the adapters."""
    target_modules: tuple[str, ...] = ()
    """Names of the modules that are adapted; empty takes peft's choice for the architecture."""


class Training(Section):
    """How the cross-encoder is fine-tuned in one round."""

    losses: tuple[Loss, ...] = Field(default=(GroupSoftmax(),), min_length=1)
    """The losses of a group, summed by their weights: group_softmax, binary_cross_entropy, circle,
    lambda, margin_mse, kl."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Divides the logits before the softmax over the group."""
    residual_weight: float = Field(default=0.0, ge=0, le=1000)
    """Adds this much of the first stage's standardised score to the logits in the loss, so that the
    reranker learns what the first stage gets wrong; 0 trains the reranker by itself."""
    epochs: int = Field(default=1, ge=1, le=100)
    """Passes over the round's groups."""
    pairs_per_round: int | None = Field(default=None, ge=2)
    """Pairs that a round trains; epochs are cut or added to meet it. Null trains `epochs`."""
    learning_rate: float = Field(default=2e-5, gt=0, le=1)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine", "constant_with_decay"] = "linear"
    """The learning rate's course after the warm-up."""
    schedule_over: Literal["run", "round"] = "run"
    """Whether one course runs over all rounds together, or each round starts anew."""
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the course in which the learning rate rises to its peak."""
    decay_share: float = Field(default=0.2, gt=0, le=1)
    """Share of the course in which `constant_with_decay` falls to nothing, at its end."""
    groups_per_step: int = Field(default=8, ge=1, le=4096)
    """Groups whose gradients make one optimizer step, in as many micro-batches as they need."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    max_gradient_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Replaces the base model's dropout; null keeps it."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of training; `auto` is bf16 on a GPU that has it, else fp32. A CPU with bf16
    instructions trains about 1.5 times as fast with `bf16`, and has all but products in fp32."""
    micro_batch_tokens: int = Field(default=32_768, ge=64)
    """Tokens in one forward pass, padding included where pairs are padded; a CPU takes 2,048 at
    most, as its cache holds, and a GPU that keeps all graphs of packed pairs anyway takes them at
    once."""
    graph_tokens: int = Field(default=65_536, ge=64)
    """Tokens whose graphs are kept for one backward pass; bounds the memory of training. A group
    with more of them is run in two passes."""
    gradients: Literal["auto", "kept", "two_pass", "selective"] = "auto"
    """Whether graphs are kept until the backward pass, or scores are computed first and every
    micro-batch once more with its gradient (GradCache); `auto` decides by `graph_tokens`.
    `selective` runs backward only the members that carry 99 % of the gradient's mass: not quite
    the exact gradient, and without dropout alone."""
    gradient_checkpointing: bool = False
    """Whether layers are computed again in the backward pass, for less memory."""
    frozen_layers: int = Field(default=0, ge=0, le=1000)
    """Lowest layers that stay as they are, together with the embeddings; 0 trains everything."""
    start: Literal["last_round", "base", "average"] = "last_round"
    """The weights that a round starts from; `average` is the mean of the base's and the last
    round's."""
    replay_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of a round's groups that is drawn from the groups of earlier rounds."""
    warm_start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps that distils the first stage's scores into the head first, in every round
    that starts from a fresh one: round 1, and all with `start: base`."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between measurements on dev during training; the best weights are kept. Null keeps the
    last ones. With a residual objective the reranker is measured with the first stage."""
    patience: int | None = Field(default=None, ge=1)
    """Measurements without a gain after which a round's training stops early; null trains on."""
    lora: Lora | None = None
    """Trains low-rank adapters instead of all weights; null trains the weights."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.patience is not None and self.evaluate_every is None:
            raise ValueError("training.patience needs training.evaluate_every")
        if self.gradients == "selective" and (self.dropout != 0 or (self.lora or Lora()).dropout):
            dropped = "null" if self.dropout is None else self.dropout
            raise ValueError(
                f"training.gradients = selective with training.dropout = {dropped}: expected 0 "
                "there and in training.lora; the two passes would leave out other things"
            )
        if self.lora and self.frozen_layers:
            raise ValueError(
                f"training.frozen_layers = {self.frozen_layers} and training.lora exclude each "
                "other: adapters leave every other weight as it is"
            )
        names = [loss.name for loss in self.losses]
        if len(set(names)) < len(names):
            raise ValueError("training.losses names a loss twice")
        if self.schedule == "constant_with_decay" and self.warmup_share + self.decay_share > 1:
            raise ValueError("training.warmup_share and training.decay_share sum to more than 1")
        return self
