"""What a run will take, asked without Prefect: nothing is started."""

from pathlib import Path

from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.tasks.plan import Plan, plan_run


def plan(
    config: Config, store: Store | None, *, devices: int, state: Path, again: bool = False
) -> Plan:
    """The stages to come; raises `InputError` for what the run would refuse."""
    return plan_run(config, store, devices=devices, state=state, again=again)
