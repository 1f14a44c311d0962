"""Checkpoints of a training, from which a killed one goes on as if nothing had happened.

Each is a folder ``checkpoint-STEP`` with the trained weights, what transformers' Trainer keeps
(optimizer, learning rate, random states) and strop's own records. The list of its files is written
last: a folder without it, or with other sizes, was cut short and does not count.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from strop import __version__
from strop.pipeline.training.health import Record
from strop.pipeline.training.ranks import Ranks

WHOLE = "whole.json"
RECORDS = "records.json"
BEST = "best.safetensors"
WEIGHTS = "model.safetensors"
KEPT = 2
"""The newest one may be cut short: the one before it stays."""

Weights = dict[str, torch.Tensor]


@dataclass
class Records:
    """What a training has seen so far: its steps, its measurements on dev, the best weights."""

    steps: list[Record] = field(default_factory=list)
    dev: list[Record] = field(default_factory=list)
    best_weights: Weights | None = None

    @property
    def best(self) -> Record | None:
        """The first of the best measurements."""
        return max(self.dev, key=lambda record: record["value"], default=None)

    @property
    def measurements_since_best(self) -> int:
        """How many measurements came after the best one."""
        best = self.best
        return 0 if best is None else len(self.dev) - 1 - self.dev.index(best)

    def save(self, folder: Path) -> None:
        """Write the records into a checkpoint."""
        text = json.dumps({"steps": self.steps, "dev": self.dev})
        (folder / RECORDS).write_text(text, encoding="utf-8")
        if self.best_weights is not None:
            save_file(self.best_weights, folder / BEST)

    def load(self, folder: Path) -> None:
        """Take the records of a checkpoint."""
        found = json.loads((folder / RECORDS).read_bytes())
        self.steps[:], self.dev[:] = found["steps"], found["dev"]
        best = folder / BEST
        self.best_weights = load_file(best) if best.exists() else None


def trained_weights(model: Any) -> Weights:
    """Copies of the weights that training changes, on the CPU."""
    with torch.no_grad():
        return {
            name: weight.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }


def put_weights(model: Any, weights: Weights) -> None:
    """Give a model these weights; the others stay."""
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"the model has no weight {unknown[0]!r}")


@contextmanager
def held_folder(folder: Path | None) -> Iterator[Path | None]:
    """The folder while no other process holds it; None when another one does, or none is given.

    Two processes that train the same thing would overwrite each other's checkpoints: the second
    one trains without.
    """
    if folder is None:
        yield None
        return
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield folder


def finish(folder: Path, *, processes: int = 1) -> None:
    """Declare a checkpoint of so many processes whole, once all its files are on disk."""
    sizes = {}
    for path in sorted(folder.iterdir()):
        if path.name != WHOLE:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sizes[path.name] = path.stat().st_size
    temporary = folder / f".{WHOLE}"
    record = {"files": sizes, "versions": _versions(), "processes": processes}
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(folder / WHOLE)


def last_whole(folder: Path | None, *, processes: int = 1) -> Path | None:
    """The newest checkpoint of so many processes that is whole; all others are removed.

    Other processes have shares and random states of their own: going on would be neither training.
    """
    if folder is None:
        return None
    found = []
    for path in folder.glob("checkpoint-*"):
        if _is_whole(path, processes):
            found.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(found, key=_step, default=None)


@contextmanager
def in_every_process(found: Path | None, ranks: Ranks) -> Iterator[Path | None]:
    """The writer's checkpoint as a folder that this process can read, or None.

    No shared file system is assumed: the writer sends its files to those that do not see them.
    """
    own = None if found is None else str(found)
    told: str | None = ranks.told(own)
    if told is None:
        yield None
        return
    place = Path(told)
    mark = ranks.told((place / WHOLE).read_bytes() if ranks.writes else None)
    lacks = not _holds(place, mark)
    if not any(ranks.all(lacks)):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="strop-checkpoint-") as folder:
        for name in json.loads(mark)["files"]:  # one after another: they are large
            data = ranks.told((place / name).read_bytes() if ranks.writes else None)
            if lacks:
                (Path(folder) / name).write_bytes(data)
        yield Path(folder) if lacks else place


def _holds(place: Path, mark: bytes) -> bool:
    """Whether this very checkpoint lies at a place that this process sees."""
    try:
        return (place / WHOLE).read_bytes() == mark
    except OSError:
        return False


def remove_older(folder: Path) -> None:
    """Keep the newest checkpoints alone."""
    for path in sorted(folder.glob("checkpoint-*"), key=_step)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("checkpoint-"))


def _is_whole(path: Path, processes: int) -> bool:
    try:
        found = json.loads((path / WHOLE).read_bytes())
        files, versions = found["files"], found["versions"]
        trained_by = found.get("processes", 1)
        sizes = {name: (path / name).stat().st_size for name in files}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    # Other versions may read the files in another way, or go on in another one.
    return bool((sizes, versions, trained_by) == (files, _versions(), processes))


def _versions() -> dict[str, str]:
    return {
        "strop": __version__,
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
