"""Runs a flow in this process against a Prefect server, shown on the terminal."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from strop.cli.display import Display
from strop.cli.output import INTERRUPTED, Loudness, end_with_error, loudness
from strop.cli.quiet import quiet_terminal
from strop.cli.server import Server, client_environment, ensure_server


@contextlib.contextmanager
def prefect_server(console: Console) -> Iterator[Server]:
    """A Prefect server that answers, with this process set up to use it quietly."""
    quiet_terminal()

    def say(text: str) -> None:
        if loudness() > Loudness.QUIET:
            console.print(text, style="dim")

    server = ensure_server(say)
    os.environ.update(client_environment(server))
    say(f"Prefect UI: {server.ui_url}")
    yield server


def shown(console: Console, work: Callable[[], Any], *, profile: Path | None = None) -> Any:
    """Do work whose stages are shown on the console; returns what it returns.

    Work that is cancelled in Prefect's UI ends as Ctrl-C ends it. ``profile`` is a folder for the
    breakdown of the stages' time.
    """
    from strop.flows.watched import RunCancelled, end_cancelled, profiled, watched

    display = Display(console)
    try:
        with watched(display), profiled(profile), display:
            found = work()
    except RunCancelled as cancelled:
        end_cancelled(cancelled.flow_run_id)
        end_with_error(str(cancelled), code=INTERRUPTED)
    if profile is not None:
        console.print(f"profile     {profile / 'breakdown.md'}, with traces beside it")
    return found
