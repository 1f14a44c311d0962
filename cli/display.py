"""What a person sees on the terminal while stages run: a live line, then one line a stage."""

import re
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from strop.cli.output import Loudness, loudness
from strop.cli.signals import stop_if_signalled
from strop.pipeline.errors import counted

PLAIN_SECONDS = 15.0
"""Without a terminal, long work says how far it is this often."""

OF_REUSE = ("reused_from", "reused_passages", "reused_queries", "new_passages", "new_queries")
SPLITS = ("train", "dev", "gate", "test")
HEADLINES = {
    "import documentation": ("passages", "train_queries", "test_queries"),
    **{
        f"import {name}": ("passages", *(f"{split}_queries" for split in SPLITS))
        for name in ("beir", "flagembedding", "trec", "huggingface", "table")
    },
    "import split": ("passages", *(f"{split}_queries" for split in SPLITS)),
    "purge": ("passages", *(f"{split}_queries" for split in SPLITS)),
    "import run file": ("file", "rows", "queries"),
    "import model": ("name",),
    "review": ("verdicts", "relevant", "not relevant", "unsure"),
    "encode": ("passages", "new_passages", "queries", "new_queries", "width"),
    "tokenize": (
        *("passages", "new_passages", "passages_at_the_limit"),
        *("queries", "new_queries", "queries_at_the_limit"),
    ),
    "retrieve": ("depth", "share_of_exact", "recall_ceiling"),
    "initialise": ("fresh_head",),
    "score": ("pairs",),
    "select": ("mined_by", "queries", "negatives", "suspects", "queries_with_fewer_negatives"),
    "compare selections": ("moved", "kept_negatives"),
    "describe round": ("groups", "pairs", "mean_group_size", "new_share", "unfilled_slots"),
    "compare": (),
    "list negatives": ("queries", "pairs"),
    "list suspects": ("suspects",),
    "train": ("pairs", "steps", "loss_first", "loss_last"),
    "rerank": ("split", "pairs", "fusion_weight"),
    "rank": ("split",),
    "break down": ("split", "rounds"),
    "diagnose": ("alarms",),
    "report": ("champion", "rounds"),
    "calibrate": ("method", "ECE before", "ECE after"),
    "measure calibration": ("split", "ECE before", "ECE after"),
    "accept": ("reason",),
    "promote": ("reason",),
    "hold guard sets": ("reason",),
}


class Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing before the first unit."""
        speed = task.speed or task.finished_speed
        unit = task.fields.get("unit", "")
        return Text(f"{speed:,.0f} {unit}/s" if speed else "", style="cyan")


class Display:
    """A watcher that shows stages on a console; use it as a context."""

    def __init__(self, console: Console) -> None:
        """Show on this console; live when it is a terminal."""
        self._console = console
        self._quiet = loudness() == Loudness.QUIET
        self._live = console.is_terminal and not self._quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task: Any = None
        self._said = 0.0
        self._started = 0.0
        self._done = 0
        self._total = 0
        self._unit = ""

    def __enter__(self) -> "Display":
        """Start the live line."""
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the live line."""
        self._progress.stop()

    def heading(self, text: str) -> None:
        """What the stages to come belong to."""
        self._clear()
        self._say(f"[bold]{escape(text)}[/]")

    def started(self, stage: str) -> None:
        """A stage looks for its artifact."""
        stop_if_signalled()
        self._clear()
        self._task = self._progress.add_task(stage, total=None, unit="")
        self._said = self._started = time.monotonic()
        self._done = self._total = 0

    def waiting(self, stage: str, what: str) -> None:
        """The stage waits for something."""
        self._say(f"  {escape(stage)}: waits for {escape(what)}")

    def total(self, stage: str, count: int, unit: str) -> None:
        """The stage knows its size."""
        self._started, self._done, self._total, self._unit = time.monotonic(), 0, count, unit
        if self._task is not None:
            self._progress.reset(self._task, total=count or None, unit=unit)

    def advanced(self, stage: str, count: int) -> None:
        """The stage is further; a count of 0 only says that it is alive."""
        stop_if_signalled()
        if not count:
            return
        self._done += count
        if self._task is not None:
            self._progress.advance(self._task, count)
        now = time.monotonic()
        if not self._live and now - self._said >= PLAIN_SECONDS:
            self._said = now
            self._say(escape(self._plain(stage, now - self._started)))

    def finished(
        self, stage: str, *, reused: bool, seconds: float, summary: dict[str, Any]
    ) -> None:
        """The stage's artifact is in the store."""
        self._clear()
        mark = "[green]=[/]" if reused else "[green]✓[/]"
        took = "reused" if reused else f"{seconds:.1f} s"
        took = took.rjust(max(len(took), 38 - len(stage)))
        line = f"{mark} [bold]{escape(stage)}[/] {took}  "
        self._say(line + f"[dim]{escape(headline(stage, summary, reused=reused))}[/]")

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._console.print(line, markup=True, highlight=False)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def _plain(self, stage: str, seconds: float) -> str:
        rate = self._done / max(seconds, 1e-9)
        if not self._total:
            return f"  {stage}: {self._done:,} {self._unit}, {rate:,.0f} a second"
        left = (self._total - self._done) / max(rate, 1e-9)
        return (
            f"  {stage}: {self._done:,} of {self._total:,} {self._unit}, {rate:,.0f} a second, "
            f"{left:,.0f} s left"
        )


class DisplayedProgress:
    """The progress of work that is no stage of a run, on a display."""

    def __init__(self, display: Display, name: str) -> None:
        """Begin the work's line."""
        self._display, self._name = display, name
        display.started(name)

    def start(self, total: int, unit: str) -> None:
        """Say how many units are to come, 0 if unknown."""
        self._display.total(self._name, total, unit)

    def advance(self, count: int) -> None:
        """Say that so many more units are done."""
        self._display.advanced(self._name, count)


def headline(stage: str, summary: dict[str, Any], *, reused: bool = False) -> str:
    """The figures of a stage's summary that people want to see, in words.

    What making it took from earlier ones is left out where it was ``reused``: nothing was made.
    """
    name = stage.split(" · ")[0]
    everything = loudness() == Loudness.VERBOSE
    keys = _in_order(summary) if everything else HEADLINES.get(name, _in_order(summary))
    silent = OF_REUSE if reused else _about_reuse(summary)
    if name in ("import split", "purge"):  # the others are none by intent
        silent = (*silent, *(key for key in keys if summary.get(key) == 0))
    told = (key for key in keys if key in summary and key not in silent)
    words = _not_final(summary) if name == "promote" else summary
    return ", ".join(_phrase(key, words[key]) for key in told)


def _not_final(decision: dict[str, Any]) -> dict[str, Any]:
    """A challenger that is ahead has won, whatever guard sets and people make of it after this."""
    if decision.get("verdict") not in ("promoted", "awaiting"):
        return decision
    compared = str(decision["reason"]).rpartition(": ")[0]
    return {**decision, "verdict": "won", "reason": f"{compared}: won"}


def _about_reuse(summary: dict[str, Any]) -> tuple[str, ...]:
    """The keys on an earlier artifact of which nothing was taken: there is nothing to tell."""
    counts = ("reused_passages", "reused_queries")
    return () if any(summary.get(key) for key in counts) else OF_REUSE[:3]


def _in_order(summary: dict[str, Any]) -> tuple[str, ...]:
    """Words, then counts, then figures: a summary that was read back has lost the order it had."""
    kinds = (str, int, float)
    place = {
        key: next((i for i, k in enumerate(kinds) if isinstance(summary[key], k)), 3)
        for key in summary
    }
    return tuple(sorted(summary, key=lambda key: (place[key], _by_number(key))))


def _by_number(key: str) -> list[tuple[str, int]]:
    """What sorts ``at depth 5`` before ``at depth 10``."""
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D+)(\d*)", key)]


def _phrase(key: str, value: Any) -> str:
    if key in ("reason", "name", "file"):
        return str(value)
    words = key.replace("_", " ")
    if isinstance(value, dict):
        return f"{words} " + ", ".join(f"{name} {_number(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return f"{words}: {'yes' if value else 'no'}"
    if isinstance(value, int):
        return counted(value, words)
    if isinstance(value, float):
        return f"{words}{':' if re.search(r' [0-9]+$', words) else ''} {value:.3f}"
    return f"{words} {value.replace('_', ' ') if key == 'mined_by' else value}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
