"""The deployments of one config: their names, parameters and schedule, and those they replace."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from strop.cli.quiet import HUSHED
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

STEPS = ("nightly", "improve", "round", "assess", "promote")
"""What there is a deployment for; an earlier strop named them so, whatever their config."""

NO_CRON = 5
CHECK = f"""
import sys
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError
try:
    CronSchedule(cron=sys.argv[1])
except ValidationError:
    sys.exit({NO_CRON})
"""


@dataclass(frozen=True)
class Schedule:
    """When `nightly` runs: a cron line in a time zone; and whether such a run reads test."""

    cron: str
    timezone: str
    read_test: bool

    def check(self) -> None:
        """Raise `InputError` for a line or a zone that no schedule can have.

        It needs no server. A process of its own asks prefect, which must not be imported in this
        one before its server is known.
        """
        if self.timezone not in available_timezones():
            raise InputError(
                f"--timezone {self.timezone!r}: no such zone, expected one such as Europe/Berlin"
            )
        asked = subprocess.run([sys.executable, "-c", CHECK, self.cron], check=False)
        if asked.returncode == NO_CRON:
            raise InputError(
                f"--cron {self.cron!r}: not a cron line, expected five fields such as '0 2 * * *'"
            )


def deployment_name(step: str, config: str) -> str:
    """The name of a config's deployment: Prefect keeps one of each name, and replaces it."""
    return f"{step}-{config}"


def deployments(config: Config, root: str, schedule: Schedule) -> list[Any]:
    """The deployments of a config over a store; two runs of it are never on at once.

    Their runs are where we are, if the config names anything that lies here.
    """
    from prefect.client.schemas.objects import (
        ConcurrencyLimitConfig,
        ConcurrencyLimitStrategy,
    )
    from prefect.schedules import Cron

    from strop.flows.assess import assess
    from strop.flows.improve import improve
    from strop.flows.nightly import nightly
    from strop.flows.promote import approve
    from strop.flows.round import manual_round

    shared = {"config": config.model_dump(mode="json"), "store": root}
    alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    cron = Cron(schedule.cron, timezone=schedule.timezone)
    by_night = {**shared, "read_test": schedule.read_test}
    options: dict[str, dict[str, Any]] = {
        "nightly": {"parameters": by_night, "schedules": [cron], "concurrency_limit": alone},
        "improve": {"parameters": shared, "concurrency_limit": alone},
        "round": {"parameters": {**shared, "number": 1}},
        "assess": {"parameters": {**shared, "nights": True}},
        "promote": {"parameters": {"run": config.name, "store": root, "nights": True}},
    }
    flows = dict(zip(STEPS, (nightly, improve, manual_round, assess, approve), strict=True))
    variables = _job_variables(config)
    return [
        _deployment(flow, step, config.name, job_variables=variables, **options[step])
        for step, flow in flows.items()
        if step in offered(config)
    ]


def offered(config: Config) -> tuple[str, ...]:
    """The steps that a config has deployments for: without approval nothing ever awaits a word."""
    return tuple(step for step in STEPS if step != "promote" or config.decision.approval)


def sentence(flow: Any) -> str:
    """What a flow does; the form tells of its parameters."""
    return str(flow.description).partition("\n")[0]


def _deployment(flow: Any, step: str, config: str, **options: Any) -> Any:
    from prefect.types.entrypoint import EntrypointType

    return flow.to_deployment(
        name=deployment_name(step, config),
        description=sentence(flow),
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["strop"],
        **options,
    )


def _job_variables(config: Config) -> dict[str, Any]:
    """What a worker gives the processes of runs: it starts them in a folder of no meaning.

    Paths stay as they are written, since a run's record has them so. A worker of another host need
    not have this folder, where the config names nothing in it.
    """
    if not any(_is_here(name) for name in _paths(config)):
        return {"env": HUSHED}
    # The folder's own files are no modules of ours.
    return {"env": {**HUSHED, "PYTHONSAFEPATH": "1"}, "working_dir": str(Path.cwd())}


def _paths(config: Config) -> list[str]:
    """Every value of a config that may be a path, or else a name or an id, but for the data set."""
    encoders = (config.bi_encoder, *config.first_stage.more_encoders.values())
    return [
        config.reranker.base,
        *(encoder.model for encoder in encoders),
        *(pool.source for pool in config.mining.more_pools),
        *(guard.dataset for guard in config.decision.guard_sets),
        config.mining.teacher or "",
        config.evaluation.off_the_shelf or "",
    ]


def _is_here(name: str) -> bool:
    path = Path(name).expanduser()
    return bool(name) and not path.is_absolute() and path.exists()


def of_other_stores(config: Config, root: str) -> dict[str, str]:
    """The store of each of the config's deployments that is over another one than this."""
    names = [deployment_name(step, config.name) for step in offered(config)]
    stores = {found.name: str(found.parameters.get("store")) for found in _named(names)}
    return {name: store for name, store in stores.items() if store != root}


def remove_outdated(config: Config, root: str) -> list[str]:
    """Remove what was made of this config and store before and no longer is; returns the names.

    That is a step which is not offered any more, and all of an earlier strop's, whose names were
    those of the steps alone: its schedule would go on beside the new one.
    """
    from prefect.client.orchestration import get_client

    dropped = [deployment_name(step, config.name) for step in STEPS if step not in offered(config)]
    named = _named([*STEPS, *dropped])
    old = [found for found in named if _is_of(found.parameters, config, root)]
    with get_client(sync_client=True) as client:
        for found in old:
            client.delete_deployment(found.id)
    return [found.name for found in old]


def _is_of(parameters: dict[str, Any], config: Config, root: str) -> bool:
    named = parameters.get("run") or (parameters.get("config") or {}).get("name")
    return named == config.name and parameters.get("store") == root


def _named(names: Any) -> list[Any]:
    """Deployments of strop by these names."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    wanted = DeploymentFilter(name=DeploymentFilterName(any_=list(names)))
    with get_client(sync_client=True) as client:
        found = client.read_deployments(deployment_filter=wanted)
    return [item for item in found if "strop" in item.tags]
