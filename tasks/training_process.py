"""One of the processes that train a round's reranker together, as torchrun starts it.

`python -m strop.tasks.training_process JOB` on the host of the run; without JOB on another host,
whose processes are told what to train by those that know. It imports no Prefect: the task that
waits for it does all the telling.
"""

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.schemas import DEV_LOG, TRAIN_LOG
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.threads import use_threads
from strop.pipeline.training.torchrun import (
    PROGRESS,
    REFUSED,
    ToFile,
    Width,
    die_with_parent,
    follow,
)
from strop.tasks.training_inputs import (
    TrainingInputs,
    development_of,
    groups_of,
    has_fresh_head,
    starting_weights,
    tokens_of,
)

if TYPE_CHECKING:
    from strop.pipeline.training.ranks import Ranks
    from strop.pipeline.training.train import Surroundings, Trained

JOB, MODEL, MORE = "job.json", "model", "more.json"


@dataclass(frozen=True)
class Job:
    """What is trained: everything is read from the store, which every process opens itself."""

    store: str
    inputs: TrainingInputs
    config: Config
    number: int

    def train(self, surroundings: "Surroundings") -> "Trained":
        """The reranker, trained by this process or its share of it."""
        from strop.pipeline.training.train import train

        store, inputs, config = Store(self.store), self.inputs, self.config
        negatives, earlier = groups_of(store, inputs)
        development = development_of(store, inputs, config)
        return train(
            starting_weights(store, inputs, config),
            negatives,
            tokens_of(store, inputs, [negatives, *earlier], development),
            config,
            round_number=self.number,
            earlier=earlier,
            fresh_head=has_fresh_head(store, inputs),
            development=development,
            surroundings=surroundings,
        )

    def to_json(self) -> str:
        """The job as text that another process reads."""
        values = {**asdict(self), "config": self.config.model_dump(mode="json")}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job of such a text."""
        values = json.loads(text)
        inputs = {role: _refs(value) for role, value in values["inputs"].items()}
        config = Config.model_validate(values["config"])
        return cls(values["store"], TrainingInputs(**inputs), config, values["number"])


def _refs(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_refs(item) for item in value)
    return None if value is None else ArtifactRef(**value)


def train_together(job: Job, folder: Path, surroundings: "Surroundings") -> "Trained":
    """Train by the config's processes, whose files lie in a folder meanwhile."""
    execution = job.config.execution
    places = {
        name: None if place is None else str(place)
        for name, place in (
            ("checkpoints", surroundings.checkpoints),
            ("tracking", surroundings.tracking),
        )
    }
    path = folder / JOB
    path.write_text(json.dumps({"job": job.to_json(), "places": places}), encoding="utf-8")
    width = Width(execution.processes, execution.nodes, execution.rendezvous)
    follow(__name__, path, width, threads=execution.threads, progress=surroundings.progress)
    return _read(folder)


def _read(folder: Path) -> "Trained":
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.training.train import Trained

    more = json.loads((folder / MORE).read_bytes())
    dev_log = folder / "dev_log.parquet"
    return Trained(
        load_reranker(folder / MODEL, trust_remote_code=more["trust_remote_code"]),
        tables.read_table(folder / "train_log.parquet"),
        tables.read_table(dev_log) if dev_log.exists() else None,
        more["replayed_groups"],
    )


def _write(folder: Path, trained: "Trained", config: Config) -> None:
    from strop.pipeline.scoring.reranker import save_reranker

    shutil.rmtree(folder / MODEL, ignore_errors=True)
    save_reranker(trained.reranker, folder / MODEL, max_tokens=config.reranker.max_tokens, card="")
    tables.write_table(folder / "train_log.parquet", trained.log, TRAIN_LOG)
    if trained.dev_log is not None:
        tables.write_table(folder / "dev_log.parquet", trained.dev_log, DEV_LOG)
    more = {
        "replayed_groups": trained.replayed_groups,
        "trust_remote_code": config.reranker.trust_remote_code,
    }
    (folder / MORE).write_text(json.dumps(more), encoding="utf-8")


def main(path: Path | None) -> None:
    """Train together with the other processes; the writer leaves the result beside the job."""
    die_with_parent()
    from strop.pipeline.training import ranks as together

    given = None if path is None else json.loads(path.read_bytes())
    ranks = together.join(given is not None)
    job = Job.from_json(ranks.told(given and given["job"]))
    use_threads(job.config.execution.threads)
    folder = None if path is None else path.parent
    try:
        trained = job.train(_surroundings(given, folder, ranks))
    except InputError as error:
        if folder is None:
            raise SystemExit(str(error)) from error
        _refuse(folder, str(error))
        return
    together.leave()  # transformers saves models in the first rank of a group alone
    if ranks.writes and folder is not None:
        _write(folder, trained, job.config)


def _surroundings(
    given: dict[str, Any] | None, folder: Path | None, ranks: "Ranks"
) -> "Surroundings":
    """The writer's places; the others write and tell nothing."""
    from strop.pipeline.training.train import Surroundings

    if not ranks.writes or given is None or folder is None:
        return Surroundings(ranks=ranks)
    places = {name: place and Path(place) for name, place in given["places"].items()}
    return Surroundings(**places, progress=ToFile(folder / PROGRESS), ranks=ranks)


def _refuse(folder: Path, line: str) -> None:
    """Say why there is nothing to train; whoever waits ends all processes."""
    new = folder / f".{REFUSED}"
    new.write_text(line, encoding="utf-8")
    new.replace(folder / REFUSED)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
