"""What a run will take, asked without Prefect: nothing is started."""

from pathlib import Path

from strop.artifacts.store import Store
from strop.flows.first_stage import check_sources, encoder_names, run_files
from strop.flows.outside import without_code
from strop.flows.prepare import refuse_averaging_a_fresh_head
from strop.pipeline.config import GIVEN, Config
from strop.tasks.plan import Plan, plan_run
from strop.tasks.plan_checks import check_data, check_encoders, check_reranker, check_run_files
from strop.tasks.plan_data import read_data


def plan(
    config: Config, store: Store | None, *, devices: int, state: Path, again: bool = False
) -> Plan:
    """The stages to come; raises `InputError` for what the run would refuse at its start."""
    check_sources(config)
    with_ids = bool(run_files(config) or config.mining.verdicts)
    data = read_data(config, store, with_ids=with_ids)
    check_data(config, store, data)
    check_encoders(encoder_names(config))
    check_run_files(run_files(config), data)
    _check_rerankers(config, store)
    found = plan_run(config, store, data, devices=devices, state=state, again=again)
    refuse_averaging_a_fresh_head(config, found.costs.fresh_head)
    return found


def _check_rerankers(config: Config, store: Store | None) -> None:
    """Raise `InputError` for another reranker than the base that is none."""
    if name := config.evaluation.off_the_shelf:
        shelf = without_code(config).reranker
        check_reranker(store, "evaluation.off_the_shelf", name, shelf, seed=config.seed)
    name = config.mining.teacher
    if name is not None and name != GIVEN:
        check_reranker(store, "mining.teacher", name, config.reranker, seed=config.seed)
