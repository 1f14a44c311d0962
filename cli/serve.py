"""`strop serve`: deployments of the flows, so that runs can be started from the Prefect UI."""

from contextlib import suppress
from typing import Any

from rich.console import Console

from strop.artifacts.canonical import digest
from strop.cli.automations import make_automations
from strop.cli.deploy import writable
from strop.cli.deployments import deployment_name, sentence
from strop.cli.lost_processes import end_runs_without_process
from strop.cli.output import console
from strop.cli.running import prefect_server
from strop.flows.run_names import KEY_DIGITS


def serve_flows(store: str) -> None:
    """Offer improve, round and assess in the UI, and carry out what is started there.

    Runs write to the given store unless their form names another; only one is carried out at a
    time, since each uses the whole machine. Ends with Ctrl-C, and so does the one that is on, which
    is Crashed then; an automation marks one whose process is lost.
    """
    root = writable(store)
    out = console()
    with prefect_server(out) as server:
        from prefect import serve

        for automation in make_automations(None):
            out.print(f"automation '{automation}' {server.ui_url}/automations")
        out.print(f"Deployments: {server.ui_url}/deployments  (store {root}; Ctrl-C ends)")
        deployments = served(root)
        try:
            serve(*deployments, print_starting_message=False, limit=1)
        finally:
            if server.managed:  # of another server, another host's process may be at work
                _tell_ended_runs(out, [deployment.name for deployment in deployments])


def _tell_ended_runs(out: Console, deployments: list[str]) -> None:
    """Without a server that answers, what was on is left to the automation."""
    import httpx
    from prefect.exceptions import PrefectException

    with suppress(httpx.HTTPError, PrefectException):
        for ended in end_runs_without_process(deployments):
            out.print(f"{ended}: its process is gone; the next run goes on where it stopped")


def served(root: str) -> list[Any]:
    """The deployments over a store; each store has its own, or a second would replace the first."""
    from prefect.types.entrypoint import EntrypointType

    from strop.flows.assess import assess
    from strop.flows.improve import improve
    from strop.flows.round import manual_round

    key = digest(root)[:KEY_DIGITS]
    return [
        flow.to_deployment(
            name=deployment_name(step, f"served-{key}"),
            parameters={"store": root},
            description=sentence(flow),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for step, flow in (("improve", improve), ("round", manual_round), ("assess", assess))
    ]
