"""Nightly: improve from the champion on the newest data, or nothing when nothing has changed."""

import itertools
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from strop.artifacts import refs
from strop.artifacts.canonical import digest
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run, list_runs
from strop.artifacts.store import Store
from strop.flows.contents import show_contents
from strop.flows.heartbeats import beating
from strop.flows.improve import improve
from strop.flows.location import Location
from strop.flows.prepare import import_dataset, in_store
from strop.flows.run_names import night_name
from strop.flows.session import PROMOTE
from strop.flows.verdicts import verdicts_among
from strop.pipeline.config import Config, with_values
from strop.tasks.decide import verdict
from strop.tasks.review import verdicts_that_fit
from strop.tasks.stage import Place, call

UNCHANGED = "Unchanged"
"""The name of the state of a night with nothing to do."""
LAST = 10**9
"""A round after all others."""


@flow(name="nightly", flow_run_name="nightly {config.name}")
def nightly(
    config: Config, store: Location = ".strop", read_test: bool = False
) -> State[str] | str:
    """Start a run from the champion over the newest version of the data; resume one that died.

    Nothing is done, in a state `Unchanged`, when a run of the same data, verdicts and config has
    ended: whether it moved the champion or not, it would end the same again.

    Args:
        config: Every value of the run; a key that is left out has its default.
        store: A folder, or s3://bucket/prefix (gs://, az://), that keeps the artifacts.
        read_test: Whether the test split is read at the end; every night, it is soon tuned to.
    """
    with beating():
        opened = Store(store)
        place = Place(opened.location, config.name, "nightly")
        dataset = import_dataset(place, config)
        tonight = config_of_tonight(opened, config, dataset, place)
        outcome = Run(opened, tonight.name).outcome
        if outcome is not None:
            said = f"unchanged since run {_told(tonight, outcome)}"
            return Completed(name=UNCHANGED, message=said, data=said)
        outcome = improve(tonight, opened.location, read_test)
        show_contents(Run(opened, tonight.name))
        return f"run {_told(tonight, outcome)}"


def _told(tonight: Config, outcome: str) -> str:
    """A run's name and outcome, which names the run itself where no round was held up."""
    return f"{tonight.name}: {outcome.removeprefix(f'{tonight.name}: ')}"


def config_of_tonight(store: Store, config: Config, dataset: ArtifactRef, place: Place) -> Config:
    """The config under a name of its own for these data, verdicts and values.

    A run of that name that began before goes on with the base and the guard sets that it began
    with; a new one begins with the champion's reranker, where there is one. One that was held
    against a champion that somebody has replaced since could not end, or could not be approved,
    and is begun anew.
    """
    changes: dict[str, Any] = {
        **in_store(dataset),
        "decision.champion": config.champion,
    }
    if verdicts := _newest_verdicts(store, config, dataset, place):
        changes["mining.verdicts"] = verdicts
    wanted = with_values(config, changes)
    name = _name(store, config, {**wanted.identity(), "verdicts": verdicts})
    begun = Run(store, name).config_or_none()
    # The digest is over the guard sets' folders, whose content may be another one by now.
    values = _of_record(begun) if begun else {"reranker.base": _base(store, wanted)}
    return with_values(wanted, {"name": name, **values})


def _name(store: Store, config: Config, depends_on: dict[str, Any]) -> str:
    """The night's name: the first of its data and values whose run has ended, or can.

    One whose challenger awaits a person's word has not ended before that word can be given.
    """
    moves = refs.history(store, config.champion)
    for again in itertools.count():
        key = digest({**depends_on, **({"again": again} if again else {})})
        run = Run(store, night_name(config.name, key))
        if not _came_too_late(run, moves) or (run.outcome is not None and not _awaits(run)):
            break
    return run.name


def _came_too_late(run: Run, moves: list[refs.Ref]) -> bool:
    """Whether the champion that a run is held against was replaced before the run moved it."""
    values = [move.value or {} for move in moves]
    if any(value.get("run") == run.name and value.get("round") for value in values):
        return False
    return bool(moves) and not run.is_held_against(moves[-1])


def _awaits(run: Run) -> bool:
    """Whether a run's challenger won the gate and awaits a person's word."""
    decision = run.parts().get(PROMOTE, {}).get("decision")
    return decision is not None and verdict(run.store, decision)[0] == "awaiting"


def _of_record(begun: dict[str, Any]) -> dict[str, Any]:
    return {
        "reranker.base": begun["reranker"]["base"],
        "decision.guard_sets": begun["decision"].get("guard_sets", []),
    }


def _base(store: Store, config: Config) -> str:
    champion = refs.read(store, config.champion).value or {}
    if not champion.get("reranker"):
        return config.reranker.base
    return str(champion["reranker"]["id"])


def _newest_verdicts(
    store: Store, config: Config, dataset: ArtifactRef, place: Place
) -> str | None:
    """The verdicts of the last run for this champion, as far as the data still have their pairs."""
    if config.mining.verdicts is not None:
        return config.mining.verdicts
    for run in runs_for(store, config.champion):
        if found := verdicts_among(run.parts(), LAST):
            fitting: ArtifactRef | None = call(verdicts_that_fit, place, found, dataset)
            return fitting.id if fitting else None
    return None


def runs_for(store: Store, champion: str) -> list[Run]:
    """The runs that are held against a champion, the newest first; unnamed, it has a run's name."""
    runs = [
        run
        for run in list_runs(store)
        if (run.config["decision"]["champion"] or run.name) == champion
    ]
    return sorted(runs, key=lambda run: run.started, reverse=True)
