"""The config that a run was started with, from its record."""

from typing import Any

from pydantic import ValidationError

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.pipeline.config import Config


def config_of_run(store: Store, run: str) -> Config:
    """The config of a run in the store; raises `NotFound`.

    Its data set is named by its artifact, whatever folder it was imported from.
    """
    return Config.recorded(Run(store, run).config)


def with_defaults(recorded: dict[str, Any]) -> dict[str, Any]:
    """A recorded config with the keys that strop has got since, at their defaults.

    One that today's strop does not read stays as it is.
    """
    try:
        config = Config.recorded(recorded)
    except ValidationError:
        return recorded
    return {**config.identity(), "dataset": recorded["dataset"]}
