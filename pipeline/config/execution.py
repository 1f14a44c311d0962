"""Where and how wide a run happens."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from strop.pipeline.config.section import ADDRESS, CLUSTER, Section

EXECUTION: JsonDict = {"strop": "execution"}
"""Marks a field that says where or how wide a stage runs, and so never changes its result."""


class Execution(Section):
    """Where and how wide a run happens; results differ by no more than rounding.

    As with another device, several training processes add up gradients in another order, and
    dropout leaves out other things: what was made with them has the same id, and says so.
    """

    threads: int | None = Field(default=None, ge=1, json_schema_extra=EXECUTION)
    """Threads of the numerical libraries; null leaves it to them, within a container's share."""
    checkpoint_steps: int | None = Field(default=200, ge=1, json_schema_extra=EXECUTION)
    """Optimizer steps between checkpoints, where a killed training goes on; null keeps none."""
    processes: int = Field(default=1, ge=1, le=1024, json_schema_extra=EXECUTION)
    """Processes on each host that train together by torchrun; each takes a GPU if there is one."""
    nodes: int = Field(default=1, ge=1, le=1024, json_schema_extra=EXECUTION)
    """Hosts whose processes train together; they need `rendezvous`."""
    rendezvous: str | None = Field(default=None, pattern=ADDRESS, json_schema_extra=EXECUTION)
    """HOST:PORT of one of these hosts, where torchrun's processes meet; null on a single host."""
    gpu_slot: str | None = Field(
        default="gpu", min_length=1, max_length=100, json_schema_extra=EXECUTION
    )
    """Prefect's concurrency limit that a stage takes a slot of to compute with a reranker, so that
    one does at a time; a name for each where several GPUs share a server, null for none."""
    report_to: tuple[str, ...] = Field(default=(), json_schema_extra=EXECUTION)
    """Trackers that transformers' Trainer reports to, such as tensorboard, mlflow or wandb."""

    runner: Literal["local", "ray"] = Field(default="local", json_schema_extra=EXECUTION)
    """Where texts are tokenized and encoded, queries searched and pairs scored: in the run's own
    process, or in worker processes of a Ray cluster."""
    address: str | None = Field(default=None, pattern=CLUSTER, json_schema_extra=EXECUTION)
    """Of `ray`: HOST:PORT of a cluster that runs already; null starts one on this host."""
    workers: int | None = Field(default=None, ge=1, le=10_000, json_schema_extra=EXECUTION)
    """Of `ray`: worker processes, each with `threads` threads; null takes all processors."""

    @model_validator(mode="after")
    def _on_ray(self) -> Self:
        for name in ("address", "workers"):
            if self.runner == "local" and (found := getattr(self, name)) is not None:
                raise ValueError(
                    f"execution.{name} = {found} is for a cluster's workers, but execution.runner "
                    "= local has none; expected execution.runner = ray"
                )
        return self

    @model_validator(mode="after")
    def _meeting(self) -> Self:
        if (self.nodes > 1) != (self.rendezvous is not None):
            raise ValueError(
                f"execution.nodes = {self.nodes} and execution.rendezvous = "
                f"{self.rendezvous or 'null'}: expected both for several hosts, neither for one"
            )
        return self

    @property
    def trainers(self) -> int:
        """The processes of all hosts that train together."""
        return self.processes * self.nodes
