"""Branches: a round repeated with other values, beside the run that it shares its past with."""

from collections.abc import Mapping, Sequence
from typing import Any

from strop.artifacts.errors import NotFound
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.recorded import with_defaults
from strop.flows.run_names import branch_name
from strop.flows.session import PREPARE, missing, round_part
from strop.pipeline.config import Config, with_values
from strop.pipeline.errors import InputError

OWN = ("mining", "training", "evaluation")
"""Sections whose values a round may change; the others made what all rounds share."""


def branched(
    store: Store, config: Config, branch: str, number: int, changes: Mapping[str, Any]
) -> Config:
    """The config of a run's branch, which begins as a copy of the record up to a round.

    A branch that is there goes on with the config that it has. Raises `InputError` for a name
    that no run can have and for a key that no round may change, `NotFound` for a run without the
    rounds before, `StoreError` for other values than the branch was started with.
    """
    for key in changes:
        if key.partition(".")[0] not in OWN:
            raise InputError(
                f"{key}: made what all rounds share, expected a key of {', '.join(OWN)}; start "
                "another run with it"
            )
    name = branch_name(config.name, branch)
    run = Run(store, name)
    begun = run.config_or_none()
    parent = Run(store, config.name)
    base = Config.recorded(begun or parent.config)
    changed = with_values(
        base, {**changes, "name": name, "decision.champion": config.champion}
    ).model_copy(update={"execution": config.execution})
    if begun is None or PREPARE not in run.parts():  # an earlier strop recorded the config first
        _copy(parent, run, changed, number)
    return changed


def _copy(parent: Run, run: Run, config: Config, number: int) -> None:
    """Record the branch with the parent's preparation and the rounds before ``number``."""
    parts, wanted = parent.parts(), [PREPARE, *map(round_part, range(1, number))]
    for part in wanted:
        ended = "metrics_dev" if part == PREPARE else "decision"
        if ended not in parts.get(part, {}):
            raise NotFound(missing(parent.name, part))
    with run.lease() as lease:
        # Or another has begun it since we looked.
        if PREPARE not in run.parts() or run.config_or_none() is None:
            _refuse_later_parts(run, wanted)
            for part in wanted:
                run.record(lease, part, parts[part])
        # Last, so that a branch that was struck before it was whole begins again.
        run.claim({**config.identity(), "dataset": parent.config["dataset"]}, read=with_defaults)


def _refuse_later_parts(run: Run, wanted: Sequence[str]) -> None:
    """Raise `InputError` where a branch was struck that would have begun at a later round."""
    if later := sorted(run.parts().keys() - set(wanted)):
        number = int(later[-1].partition("-")[2]) + 1
        raise InputError(
            f"branch {run.name}: was to begin with round {number} when it was interrupted; ask for "
            "that round, or give it another name"
        )
