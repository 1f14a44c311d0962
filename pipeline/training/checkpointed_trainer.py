"""What a Trainer keeps of a training in its checkpoints, and reads back: see `checkpoints`."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import Trainer

from strop.pipeline.training import checkpoints
from strop.pipeline.training.course import Course
from strop.pipeline.training.ranks import Ranks

logger = logging.getLogger(__name__)


class CheckpointedTrainer(Trainer):  # type: ignore[misc]
    """A Trainer of one or more processes, whose first one writes checkpoints without pickles."""

    records: checkpoints.Records
    _course: Course
    _ranks: Ranks

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._course.checkpoint_folder or self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a whole checkpoint; one that cannot be written costs a warning alone."""
        folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        states = self._random_states()
        if not self._ranks.writes:
            return
        try:
            super()._save_checkpoint(model, trial)
            for name, state in states.items():
                (folder / name).write_bytes(state)
            self.records.save(folder)
            checkpoints.finish(folder, processes=self._ranks.size)
            checkpoints.remove_older(folder.parent)
        except (OSError, RuntimeError, SafetensorError) as error:
            logger.warning("checkpoint of step %d not written: %s", self.state.global_step, error)
            shutil.rmtree(folder, ignore_errors=True)

    def _save_rng_state(self, output_dir: str) -> None:
        if self._ranks.size == 1:
            super()._save_rng_state(output_dir)

    def store_flos(self) -> None:
        """Not added up over processes: one alone writes checkpoints, where this is asked for."""
        if self._ranks.size == 1:
            super().store_flos()

    def _random_states(self) -> dict[str, bytes]:
        """Every process's random state, by the name of its file, where there are several."""
        if self._ranks.size == 1:
            return {}
        with tempfile.TemporaryDirectory(prefix="strop-random-") as folder:
            super()._save_rng_state(folder)
            own = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        return {name: state for part in self._ranks.all(own) for name, state in part.items()}

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Only the weights that training changes, and nothing pickled."""
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(checkpoints.trained_weights(self.model), folder / checkpoints.WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / checkpoints.WEIGHTS)
        checkpoints.put_weights(self.model, weights)
