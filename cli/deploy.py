"""`strop deploy`: scheduled and manual deployments of one config, and a worker that runs them."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from strop.artifacts.mark import require_writable
from strop.artifacts.store import Store
from strop.cli.automations import make_automations
from strop.cli.config_file import load_config
from strop.cli.deployments import (
    Schedule,
    deployment_name,
    deployments,
    of_other_stores,
    remove_outdated,
)
from strop.cli.lost_processes import end_lost_runs_of_this_machine, worker_name
from strop.cli.output import FAILED, console, end_with_error
from strop.cli.running import prefect_server
from strop.cli.signals import heeded
from strop.flows.run_names import check_nights
from strop.pipeline.config import Config

POOL = "strop"


def deploy_flows(
    path: Path, store: str, schedule: Schedule, *, worker: bool, notify: str | None = None
) -> None:
    """Make or renew the deployments of a config; with a worker, carry out what is due.

    A second nightly run is cancelled while one is running. ``notify`` names the notification block
    that is told of failed runs. The worker ends with Ctrl-C.
    """
    config = _absolute(load_config(path))
    check_nights(config.name)
    schedule.check()
    root = writable(store)
    out = console()
    with prefect_server(out) as server:
        automations = make_automations(notify)
        _make_pool()
        _put_deployments(out, server.ui_url, config, root, schedule)
        for automation in automations:
            out.print(f"automation '{automation}' {server.ui_url}/automations")
        command = f"prefect worker start --pool {POOL}"
        if worker:
            _tell_lost_runs(out)
            out.print(f"{command}; Ctrl-C ends the worker, deployments stay", style="dim")
            try:
                _work()
            finally:
                _tell_lost_runs_at_the_end(out)
        else:
            address = f"PREFECT_API_URL={server.url} " if server.managed else ""
            out.print(f"start a worker with: {address}{command}", soft_wrap=True)


def writable(store: str) -> str:
    """The location of a store; raises `StoreError` where no run could write to it."""
    opened = Store(store)
    require_writable(opened.root)
    return opened.location


def _put_deployments(
    out: Console, ui_url: str, config: Config, root: str, schedule: Schedule
) -> None:
    """Make or renew them, and tell of what gives way to them."""
    moved = of_other_stores(config, root)
    for deployment in deployments(config, root, schedule):
        made = deployment.apply(work_pool_name=POOL)
        out.print(f"{deployment.name}  {ui_url}/deployments/deployment/{made}", soft_wrap=True)
    for name, other in moved.items():
        out.print(f"{name} was of the store {other}, and is of {root} now", soft_wrap=True)
    if removed := remove_outdated(config, root):
        out.print(f"removed what is no longer made of this config: {', '.join(removed)}")
    nightly = deployment_name("nightly", config.name)
    out.print(f"{nightly} runs at '{schedule.cron}' {schedule.timezone}, pool {POOL}")


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
    """A worker runs elsewhere: a data set's folder must not depend on where one is.

    A run's record has the data set by its artifact, and other paths as they are written.
    """
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


def _work() -> None:
    """Run a worker in this terminal; it ends when we are told to, by Ctrl-C or any other way.

    It has a session of its own: a Ctrl-C that both got would be its second, which ends it at once.
    One that ends by itself is an error, since nothing would carry out what is due.
    """
    arguments = ["-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "1"]
    arguments += ["--name", worker_name()]
    environment = {**os.environ, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO"}
    with heeded(signal.SIGINT):  # we end it by that
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, start_new_session=True
        )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    end_with_error(
        f"the worker ended by itself, with exit code {code}; the deployments stay, and the same "
        "command starts another",
        code=FAILED,
    )
