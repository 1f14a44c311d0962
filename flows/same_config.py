"""Whether a config is the one that a run was started with, asked where nothing claims the run."""

from typing import Any

from strop.artifacts.runs import refuse_other_config
from strop.flows.prepare import import_dataset
from strop.flows.recorded import with_defaults
from strop.flows.session import PREPARE, Session


def refuse_another_config(session: Session) -> None:
    """Raise `StoreError` for a config, or data, that the run was not started with.

    Of verdicts and guard sets a record has ids, which only a preparation looks for: these are left
    alone. Raises `NotFound` for a run that has not been prepared.
    """
    session.part(PREPARE)
    run, config = session.run, session.config
    recorded, asked = with_defaults(run.config), config.identity()
    dataset = import_dataset(session.place(PREPARE), config)
    refuse_other_config(
        run.name,
        _comparable(recorded, recorded["dataset"]),
        _comparable(asked, f"dataset {dataset.id}"),
    )


def _comparable(identity: dict[str, Any], dataset: str) -> dict[str, Any]:
    left = {key: value for key, value in identity.items() if key != "data"}
    mining, decision = dict(left["mining"]), dict(left["decision"])
    mining.pop("verdicts", None)
    decision.pop("guard_sets", None)
    return {**left, "dataset": dataset, "mining": mining, "decision": decision}
