"""`strop plan`: what a run will take, stage by stage, before it starts."""

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from strop.artifacts.backends.location import store_path
from strop.artifacts.store import Store
from strop.cli.config_file import load_config
from strop.cli.managed_server import state_path
from strop.cli.output import console, print_json
from strop.cli.quiet import quiet_terminal
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError


def run_plan(path: Path, store: str, *, devices: int | None, again: bool, json: bool) -> None:
    """Print the stages to come, what they take, and which kind of them takes the most time."""
    config = load_config(path)
    count = _devices(config, devices)
    quiet_terminal()
    out = console(stderr=json)
    from strop.flows.plan import plan

    with out.status("measuring what a unit of each kind of work costs"):
        found = plan(config, _store(store), devices=count, state=state_path(), again=again)
    if json:
        print_json(found.to_json())
        return
    out.print(stages_grid(found))
    stage, share = found.dominant
    values = found.to_json()
    out.print(
        f"{duration(values['seconds'])} in all where nothing else runs, {share:.0%} of "
        f"it for {stage}; memory up to {size(values['memory'])}{_workers(found)}; "
        f"{size(values['disk'])} in the store.",
        soft_wrap=True,
    )
    if found.warning:
        out.print(f"warning: {found.warning}", soft_wrap=True)
    out.print(_basis(found), style="dim", soft_wrap=True)


def _workers(found: Any) -> str:
    """What a cluster's workers need."""
    if not found.workers:
        return ""
    each = max(stage.worker_memory for stage in found.stages)
    return f" and {size(each)} in each of {found.workers} workers"


def _basis(found: Any) -> str:
    """What the figures come from, and what they take for granted."""
    costs = found.costs
    rates = {"encode": costs.encode_token, "score": costs.score_token, "train": costs.train_token}
    told = ", ".join(f"{name} {1 / cost:,.0f}" for name, cost in rates.items() if cost)
    return (
        f"{'Kept from before' if found.kept else 'Measured'}, on {costs.device}: tokens a second "
        f"{told}; {costs.pair_tokens:.0f} tokens a pair. All rounds are taken to be accepted, and "
        "nothing to be in the store."
    )


def _devices(config: Config, devices: int | None) -> int:
    """How many share out training; raises `InputError` for a number that cannot."""
    if devices is None:
        return config.execution.trainers
    most = config.training.groups_per_step
    if not 1 <= devices <= most:
        raise InputError(
            f"--devices {devices}: expected 1 to training.groups_per_step = {most}, of whose "
            "groups each device trains one at least"
        )
    return devices


def _store(location: str) -> Store | None:
    """The store that is there; a plan makes none."""
    place = store_path(location)
    return None if isinstance(place, Path) and not place.exists() else Store(place)


def stages_grid(plan: Any) -> Table:
    """One line a stage."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage")
    for name in ("work", "time", "share", "memory", "disk"):
        table.add_column(name, justify="right")
    total = sum(stage.seconds for stage in plan.stages) or 1.0
    for stage in plan.stages:
        table.add_row(
            f"{stage.stage} · {stage.part}",
            f"{stage.units:,} {stage.unit}",
            duration(stage.seconds),
            f"{stage.seconds / total:.0%}",
            size(stage.memory),
            size(stage.disk) if stage.disk else "–",
        )
    return table


def duration(seconds: float) -> str:
    """Seconds, minutes or hours as people read them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit != "GB" else f"{count:.1f} GB"
        count /= 1000
    return f"{count:.1f} TB"
