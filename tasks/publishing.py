"""What Prefect's UI shows of a stage: its artifact's summary, and the progress of long work."""

import time
from typing import Any

from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from strop.artifacts.manifest import Manifest
from strop.tasks.cancelling import stop_if_cancelled
from strop.tasks.gpu_slot import stop_if_slot_lost
from strop.tasks.passing_word import in_passing, server_is_away
from strop.tasks.shown_pages import artifact_name, remember, shown_pages
from strop.tasks.watching import watchers

QUIET_SECONDS = 3.0
"""Work shorter than this gets no progress artifact; longer work updates it this often."""


def artifact_key(*words: str) -> str:
    """A key as Prefect wants it: lower-case letters, digits and dashes."""
    text = "-".join(words).lower()
    return "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in text).split())


def publish(manifest: Manifest, *, run: str, part: str, reused: bool) -> None:
    """Show a stage's summary as a table, unless the run has shown it before, and log it."""
    if TaskRunContext.get() is None:
        return
    if not (reused and artifact_name(manifest.ref) in shown_pages(artifact_key(run))):
        _show_table(manifest, run=run, part=part, reused=reused)
    get_run_logger().info(
        "%s %s %s: %s",
        "reused" if reused else "made",
        manifest.kind,
        manifest.id,
        ", ".join(f"{key} {shown(value)}" for key, value in manifest.summary.items()),
    )


def _show_table(manifest: Manifest, *, run: str, part: str, reused: bool) -> None:
    inputs = {f"from {role}": f"{ref.kind} {ref.id}" for role, ref in manifest.inputs.items()}
    figures = {
        "artifact": artifact_name(manifest.ref),
        "open with": f"strop artifacts show {manifest.id}",
        **inputs,
        **{key.replace("_", " "): shown(value) for key, value in manifest.summary.items()},
    }
    # Every column needs a name: the UI's page of a table with a nameless one does not open.
    rows = [{"figure": key, "value": value} for key, value in figures.items()]
    title = f"{manifest.kind} of {part}, {'reused' if reused else f'{manifest.seconds:.1f} s'}"
    page: Any = create_table_artifact(
        table=rows, key=artifact_key(run, manifest.kind, manifest.stage), description=title
    )
    remember(artifact_key(run), manifest.ref, page)


def shown(value: Any) -> str:
    """A summary's value as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    return str(value)


class StageProgress:
    """Passes counts on to the watchers and, for long work, to a progress artifact in the UI."""

    def __init__(self, label: str) -> None:
        """Name the stage."""
        self._label = label
        self._total = 0
        self._done = 0
        self._artifact: Any = None
        self._told = time.monotonic()

    def start(self, total: int, unit: str) -> None:
        """Say how many units are to come."""
        self._total, self._done = total, 0
        for watcher in watchers():
            watcher.total(self._label, total, unit)

    def advance(self, count: int) -> None:
        """Say that so many more units are done."""
        self._done += count
        for watcher in watchers():
            watcher.advanced(self._label, count)
        stop_if_cancelled()
        stop_if_slot_lost()
        long = time.monotonic() - self._told >= QUIET_SECONDS
        if self._total and long and TaskRunContext.get() is not None and not server_is_away():
            self._told = time.monotonic()
            self._tell_prefect()

    def _tell_prefect(self) -> None:
        """Move the bar in the UI; a server that does not answer now must not stop the work."""
        share = round(100.0 * self._done / max(self._total, 1), 1)
        with in_passing():
            if self._artifact is None:
                self._artifact = create_progress_artifact(share, description=self._label)
            else:
                update_progress_artifact(self._artifact, progress=share)
