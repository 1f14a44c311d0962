"""Assess: the test split, read once for all rounds after every decision, and the report."""

from dataclasses import replace

import pyarrow.compute as pc
from prefect import flow

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.flows.calibrate import calibrate_last, measure_on_test
from strop.flows.location import Location
from strop.flows.measured import is_fresh, measured
from strop.flows.nights import config_or_night
from strop.flows.outside import outside_of_run
from strop.flows.reported import run_inputs
from strop.flows.same_config import refuse_another_config
from strop.flows.session import (
    ASSESS,
    PREPARE,
    PROMOTE,
    Refs,
    Session,
    hold,
    is_held,
    round_part,
)
from strop.pipeline.config import Config
from strop.tasks.break_down import break_down
from strop.tasks.mine import fusion_weight
from strop.tasks.report import report
from strop.tasks.stage import Place, call
from strop.tasks.time_reranking import time_reranking


@flow(name="assess", flow_run_name="assess {config.name}")
def assess(
    config: Config, store: Location = ".strop", read_test: bool = True, nights: bool = False
) -> ArtifactRef:
    """Rerank and measure test for the untuned base and every round; returns the report.

    A base with a fresh head is not reranked with: the first stage stands for it.

    A data set without a test split is reported on dev, on which choices were made.

    Args:
        config: Every value of the run; a key that is left out has its default.
        store: A folder, or s3://bucket/prefix (gs://, az://), that keeps the artifacts.
        read_test: Whether the test split is read; dev is reported on where not.
        nights: Whether the newest night stands in for a run of the config that nobody has started.
    """
    is_alone = not is_held(config, store)
    if nights:
        config = config_or_night(Store(store), config)
    with hold(config, store) as session:
        if is_alone:
            refuse_another_config(session)
        rounds = finished_rounds(session)
        split = "test" if read_test and has_test(session) else "dev"
        calibration = calibrate_last(session)
        metrics = {}
        for number in (0, *rounds):
            made = session.part(round_part(number) if number else PREPARE)
            untuned = "first stage" if is_fresh(session, made["reranker"]) else "untuned"
            name = f"{ASSESS} {f'round {number}' if number else untuned}"
            place = session.place(name)
            metrics[number] = (
                made["metrics_dev"] if split == "dev" else _test_metrics(session, place, made)
            )
            session.record(ASSESS, **{f"metrics_{split}_{number}": metrics[number]})
        if split == "test":
            calibration |= measure_on_test(session, calibration, metrics)
        found = _examined(session, split, metrics)
        sources = run_inputs(session, split, metrics, rounds, found)
        sources = replace(sources, calibration=calibration, outside=outside_of_run(session, split))
        made_report: ArtifactRef = call(report, session.place(ASSESS), config, sources)
        session.record(ASSESS, report=made_report)
        return made_report


def final_metrics(session: Session, made: Refs) -> ArtifactRef:
    """The metrics of a round, or of the preparation: on test, or on dev where there is none."""
    if not has_test(session):
        return made["metrics_dev"]
    return _test_metrics(session, session.place(f"{ASSESS} final"), made)


def finished_rounds(session: Session) -> list[int]:
    """The rounds that have been measured and judged."""
    return sorted(
        int(part[-3:])
        for part, made in session.run.parts().items()
        if part.startswith("round-") and "decision" in made
    )


def has_test(session: Session) -> bool:
    """Whether the data set has a test split."""
    queries = session.store.table(session.part(PREPARE)["dataset"], "queries")
    return bool(pc.any(pc.equal(queries["split"], "test")).as_py())


def _test_metrics(session: Session, place: Place, made: Refs) -> ArtifactRef:
    weight = fusion_weight(place, made["ranking_dev"])
    return measured(session, place, made["reranker"], "test", weight=weight)[1]


def _examined(session: Session, split: str, metrics: dict[int, ArtifactRef]) -> Refs:
    """What the metrics are made up of, and how long the last round's reranker takes."""
    config, shared, parts = session.config, session.part(PREPARE), session.run.parts()
    place, last = session.place(ASSESS), max(metrics)
    made = parts[round_part(last)] if last else shared
    by_split = {"dev": made["metrics_dev"]}
    if gate := parts.get(PROMOTE, {}).get("metrics_gate"):
        by_split["gate"] = gate
    by_split[split] = metrics[last]
    breakdown = call(break_down, place, shared["dataset"], metrics, by_split, config, split)
    candidates, tokens = shared["candidates"], shared["tokens"]
    latency = call(time_reranking, place, candidates, tokens, made["reranker"], config)
    session.record(ASSESS, breakdown=breakdown, latency=latency)
    return {"breakdown": breakdown, "latency": latency}
