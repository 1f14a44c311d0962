"""The commands of a strop in production: deployments, and a person's word on a promotion."""

from typing import Annotated

import typer

from strop.cli.options import STORE, ConfigArgument, JsonOption, StoreOption


def deploy(
    config: ConfigArgument,
    store: StoreOption = STORE,
    cron: Annotated[str, typer.Option(help="When the nightly run starts.")] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="The time zone of --cron.")] = "UTC",
    read_test: Annotated[
        bool, typer.Option("--read-test", help="Nightly runs read the test split too.")
    ] = False,
    notify: Annotated[
        str | None,
        typer.Option(metavar="TYPE/NAME", help="The notification block to tell of failed runs."),
    ] = None,
    worker: Annotated[bool, typer.Option(help="Start a worker in this terminal.")] = True,
) -> None:
    """Schedule nightly runs of a config, and offer single steps of it in the Prefect UI."""
    from strop.cli.deploy import deploy_flows
    from strop.cli.deployments import Schedule

    deploy_flows(config, store, Schedule(cron, timezone, read_test), worker=worker, notify=notify)


def nightly(
    config: ConfigArgument,
    store: StoreOption = STORE,
    read_test: Annotated[
        bool, typer.Option("--read-test", help="Read the test split at the end.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Improve from the champion on the newest data; nothing when nothing has changed."""
    from strop.cli.runs import run_nightly

    run_nightly(config, store, read_test=read_test, json=json)


def promote(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its config file.")],
    store: StoreOption = STORE,
    note: Annotated[str, typer.Option(help="Why, kept in the champion's history.")] = "",
    json: JsonOption = False,
) -> None:
    """Promote a run's challenger that awaits a person's word (decision.approval)."""
    from strop.cli.promote import run_promote

    run_promote(run, store, note=note, json=json)


def add_commands(app: typer.Typer) -> None:
    """Put the commands where the `strop` command finds them."""
    app.command()(deploy)
    app.command()(nightly)
    app.command()(promote)
