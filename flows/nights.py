"""The nights of a config: runs that bear its name and a digest of all that they depend on."""

import re

from strop.artifacts.runs import Run, list_runs
from strop.artifacts.store import Store
from strop.flows.recorded import config_of_run
from strop.flows.run_names import KEY_DIGITS
from strop.flows.session import PREPARE
from strop.pipeline.config import Config


def or_night(store: Store, name: str, *, with_part: str) -> str:
    """A run's name, or where nobody has started it that of the newest night with a part.

    A config that only a schedule runs has no run of its own name.
    """
    if Run(store, name).config_or_none() is not None:
        return name
    nights = [run for run in nights_of(store, name) if with_part in run.parts()]
    return nights[0].name if nights else name


def config_or_night(store: Store, config: Config) -> Config:
    """A config, or where nobody has started a run of it that of its newest prepared night."""
    name = or_night(store, config.name, with_part=PREPARE)
    return config if name == config.name else config_of_run(store, name)


def nights_of(store: Store, name: str) -> list[Run]:
    """The nights of a config of that name, the newest first."""
    of_night = re.compile(rf"{re.escape(name)}\.[0-9a-f]{{{KEY_DIGITS}}}")
    nights = [run for run in list_runs(store) if of_night.fullmatch(run.name)]
    return sorted(nights, key=lambda run: run.started, reverse=True)
