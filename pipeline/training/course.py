"""What happens in which step of a training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from strop.pipeline.config import Training
from strop.pipeline.training import health
from strop.pipeline.training.ranks import ALONE, Ranks
from strop.pipeline.training.schedule import Factor


@dataclass(frozen=True)
class Course:
    """What happens in which step of a training.

    ``factor`` is on the learning rate; the first ``warm_start_steps`` distil the first stage;
    ``measure``, when given, ranks dev by ``metric`` every ``evaluate_every`` steps and at the end;
    a checkpoint is written into ``checkpoint_folder`` every ``checkpoint_steps``, by one of the
    ``ranks`` that share out every step.
    """

    factor: Factor
    limits: health.Limits = health.UNLIMITED
    warm_start_steps: int = 0
    measure: Callable[[], float] | None = None
    metric: str = ""
    checkpoint_folder: Path | None = None
    checkpoint_steps: int | None = None
    ranks: Ranks = ALONE


class StepCalls(TrainerCallback):  # type: ignore[misc]
    """Calls for measurements and checkpoints."""

    def __init__(self, course: Course, config: Training) -> None:
        """Keep what says when something is due."""
        self._course = course
        self._config = config

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Say what is due."""
        course, step, last = self._course, state.global_step, state.global_step >= state.max_steps
        if course.measure is not None and self._config.evaluate_every is not None:
            control.should_evaluate = last or step % self._config.evaluate_every == 0
        if course.checkpoint_steps is not None:
            control.should_save = not last and step % course.checkpoint_steps == 0
