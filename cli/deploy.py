"""`strop deploy`: scheduled and manual deployments of one config, and a worker that runs them."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from rich.console import Console

from strop.artifacts.store import Store
from strop.cli.automations import make_automations
from strop.cli.config_file import load_config
from strop.cli.lost_processes import end_lost_runs_of_this_machine, worker_name
from strop.cli.output import console
from strop.cli.quiet import HUSHED
from strop.cli.running import prefect_server
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError

POOL = "strop"


@dataclass(frozen=True)
class Schedule:
    """When `nightly` runs: a cron line in a time zone; and whether such a run reads test."""

    cron: str
    timezone: str
    read_test: bool

    def check(self) -> None:
        """Raise `InputError` for a line or a zone that no schedule can have."""
        from prefect.client.schemas.schedules import CronSchedule
        from pydantic import ValidationError

        if self.timezone not in available_timezones():
            raise InputError(
                f"--timezone {self.timezone!r}: no such zone, expected one such as Europe/Berlin"
            )
        try:
            CronSchedule(cron=self.cron, timezone=self.timezone)
        except ValidationError as error:
            raise InputError(
                f"--cron {self.cron!r}: not a cron line, expected five fields such as '0 2 * * *'"
            ) from error


def deploy_flows(
    path: Path, store: str, schedule: Schedule, *, worker: bool, notify: str | None = None
) -> None:
    """Make or renew the deployments of a config; with a worker, carry out what is due.

    A second nightly run is cancelled while one is running. ``notify`` names the notification block
    that is told of failed runs. The worker ends with Ctrl-C.
    """
    config, root = _absolute(load_config(path)), Store(store).location
    out = console()
    with prefect_server(out) as server:
        schedule.check()
        automations = make_automations(notify)
        _make_pool()
        for name, deployment in _deployments(config, root, schedule).items():
            made = deployment.apply(work_pool_name=POOL)
            out.print(f"{name:<8} {server.ui_url}/deployments/deployment/{made}")
        out.print(f"nightly runs at '{schedule.cron}' {schedule.timezone}, pool {POOL}")
        for automation in automations:
            out.print(f"automation '{automation}' {server.ui_url}/automations")
        command = f"prefect worker start --pool {POOL}"
        if worker:
            _tell_lost_runs(out)
            out.print(f"[dim]{command}; Ctrl-C ends the worker, deployments stay[/]")
            try:
                _work()
            finally:
                _tell_lost_runs_at_the_end(out)
        else:
            address = f"PREFECT_API_URL={server.url} " if server.managed else ""
            out.print(f"start a worker with: {address}{command}", soft_wrap=True)


def _tell_lost_runs(out: Console) -> None:
    """End the runs whose process is gone: a power cut's, or those that our worker's end ended."""
    for lost in end_lost_runs_of_this_machine(POOL):
        out.print(f"{lost}: its process is gone; the next run goes on where it stopped")


def _tell_lost_runs_at_the_end(out: Console) -> None:
    """Without a server that answers, those runs are left to the automation."""
    import httpx
    from prefect.exceptions import PrefectException

    with suppress(httpx.HTTPError, PrefectException):
        _tell_lost_runs(out)


def _absolute(config: Config) -> Config:
    """A worker runs elsewhere: a data set's folder must not depend on where one is."""
    folder = Path(config.dataset).expanduser()
    if not folder.exists():
        return config
    return config.model_copy(update={"dataset": str(folder.absolute())})


def _make_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        except ObjectAlreadyExists:
            return


def _deployments(config: Config, root: str, schedule: Schedule) -> dict[str, Any]:
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
    return {
        "nightly": _deployment(
            nightly,
            "nightly",
            {**shared, "read_test": schedule.read_test},
            schedules=[cron],
            concurrency_limit=alone,
        ),
        "improve": _deployment(improve, "improve", shared, concurrency_limit=alone),
        "round": _deployment(manual_round, "round", {**shared, "number": 1}),
        "assess": _deployment(assess, "assess", shared),
        "promote": _deployment(approve, "promote", {"run": config.name, "store": root}),
    }


def sentence(flow: Any) -> str:
    """What a flow does; the form tells of its parameters."""
    return str(flow.description).partition("\n")[0]


def _deployment(flow: Any, name: str, parameters: dict[str, Any], **options: Any) -> Any:
    from prefect.types.entrypoint import EntrypointType

    return flow.to_deployment(
        name=name,
        parameters=parameters,
        description=sentence(flow),
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["strop"],
        job_variables={"env": HUSHED},
        **options,
    )


def _work() -> None:
    """Run a worker in this terminal; it ends when we are told to, by Ctrl-C or any other way.

    It has a session of its own: a Ctrl-C that both got would be its second, which ends it at once.
    """
    arguments = ["-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "1"]
    arguments += ["--name", worker_name()]
    environment = {**os.environ, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO"}
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, start_new_session=True
    )
    try:
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
