"""The report artifact: a self-contained page, its Markdown, and the table of results."""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import yaml
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.context import TaskRunContext

from strop import __version__
from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.schemas import DECISION
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.calibration_facts import calibration_facts
from strop.tasks.chosen_rows import chosen_rows
from strop.tasks.publishing import artifact_key
from strop.tasks.shown_texts import shown_texts
from strop.tasks.stage import Place, carry_out, stage_task

Refs = dict[str, ArtifactRef]

MINING_FACTS = ("mined_by", "queries", "negatives", "suspects", "queries_with_fewer_negatives")
VERDICT_FACTS = ("changed_by_verdicts",)
"""Told of rounds that were mined with verdicts."""
HARDEST = 8
"""Queries whose hardest negative is shown."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made from: metrics of one split and the refs of each round, by number.

    ``champion`` is the (round, ranking) of the champion's row, None for one of another run;
    ``shown`` is the round whose slices and queries are told where the champion is no round of it.
    ``decisions`` are in the order in which they were made; ``outside`` are metrics by role and name
    of rerankers that are none of the run's. The report of one round has its number in ``round``.
    ``work`` are all artifacts of each round, and ``started`` is when the run began: facts to show,
    on which no id depends.
    """

    split: str
    metrics: dict[int, ArtifactRef]
    rounds: dict[int, Refs]
    candidates: ArtifactRef
    decisions: list[ArtifactRef]
    champion: tuple[int, str] | None
    champion_name: str
    shown: int = 0
    notes: list[str] = field(default_factory=list)
    breakdown: ArtifactRef | None = None
    latency: ArtifactRef | None = None
    round: int | None = None
    work: dict[int, list[ArtifactRef]] = field(default_factory=dict)
    started: str = ""
    calibration: Refs = field(default_factory=dict)
    outside: dict[tuple[str, str], ArtifactRef] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        """The round that is looked at in detail: the champion's, or the one in ``shown``."""
        if self.champion and self.champion[1] != "first_stage":
            return self.champion[0]
        return self.shown

    def refs(self) -> Refs:
        """Every ref by a role that is unique."""
        refs: Refs = {"candidates": self.candidates, **self.calibration}
        found = {"breakdown": self.breakdown, "latency": self.latency}
        refs |= {role: ref for role, ref in found.items() if ref}
        refs |= {f"metrics {number}": ref for number, ref in self.metrics.items()}
        refs |= {f"decision {place}": ref for place, ref in enumerate(self.decisions)}
        refs |= {f"metrics of {name}, {role}": ref for (role, name), ref in self.outside.items()}
        for number, made in self.rounds.items():
            refs |= {f"{role} {number}": ref for role, ref in made.items()}
        return refs


@stage_task("report")
def report(place: Place, config: Config, sources: ReportInputs) -> Any:
    """Write the report of a run, or of one of its rounds."""
    parameters = {
        "config": config.identity(),
        "split": sources.split,
        "champion": list(sources.champion) if sources.champion else None,
        "champion_name": sources.champion_name,
        "notes": sources.notes,
        **({"round": sources.round} if sources.round else {}),
    }
    recipe = Recipe("report", "report", 11, parameters, sources.refs())

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.reporting.report import render_html, render_markdown

        data = _gather(place.open(), config, sources)
        attempt.write_table("results", data.results)
        if data.outside is not None:
            attempt.write_table("outside", data.outside)
        (attempt.folder / "report.html").write_text(render_html(data), encoding="utf-8")
        (attempt.folder / "report.md").write_text(render_markdown(data), encoding="utf-8")
        told = "round" if sources.round else "champion"
        return {told: sources.round or sources.champion_name, "rounds": len(sources.rounds)}

    result = carry_out(place, recipe, compute)
    _publish(place, recipe, "round-report" if sources.round else "report")
    return result


def _publish(place: Place, recipe: Recipe, key: str) -> None:
    if TaskRunContext.get() is None:
        return
    store = place.open()
    manifest = store.lookup(recipe)
    if manifest is None:
        return
    text = store.file(manifest, "report.md").read_text(encoding="utf-8")
    create_markdown_artifact(text, key=artifact_key(place.run, f"{key}-page"))
    page = store.file(manifest, "report.html")
    create_link_artifact(
        page.as_uri(), link_text=str(page), key=artifact_key(place.run, f"{key}-link")
    )


def _gather(store: Store, config: Config, sources: ReportInputs) -> Any:
    from strop.pipeline.evaluation.metrics import metric_label, parse_metric
    from strop.pipeline.evaluation.results import Outsider, results_tables
    from strop.pipeline.reporting.commands import commands
    from strop.pipeline.reporting.report import ReportData

    measured = {number: store.table(ref, "per_query") for number, ref in sources.metrics.items()}
    metric = metric_label(parse_metric(config.evaluation.metrics[0]))
    outsiders = [
        Outsider(name, role, store.table(ref, "per_query"))
        for (role, name), ref in sources.outside.items()
    ]
    results, outside = results_tables(
        measured,
        outsiders,
        split=sources.split,
        seed=config.seed,
        samples=config.evaluation.bootstrap_samples,
    )
    decisions = [DECISION.empty_table()]
    decisions += [store.table(ref, "decision") for ref in sources.decisions]
    ceiling = store.manifest(sources.candidates).summary["recall_ceiling"]
    return ReportData(
        title=f"{config.name}, round {sources.round}" if sources.round else config.name,
        results=results,
        outside=outside if outsiders else None,
        decisions=pa.concat_tables(decisions).unify_dictionaries(),
        champion=sources.champion,
        champion_name=sources.champion_name,
        rounds={
            number: _facts(store, made, _work(store, sources, number))
            for number, made in sources.rounds.items()
        },
        recall_ceiling=ceiling.get(sources.split),
        examples=_examples(store, sources, metric),
        negatives=_negatives(store, sources),
        lineage={role: f"{ref.kind} {ref.id}" for role, ref in sources.refs().items()},
        config=yaml.safe_dump(config.identity(), sort_keys=False, allow_unicode=True),
        commands=commands(
            config.name, __version__, round_=sources.round, mined_by=_mined_by(store, sources)
        ),
        notes=sources.notes,
        breakdown=_breakdown(store, sources),
        metric=metric,
        outcome=_outcome(decisions[-1].to_pylist()[0]) if sources.round else "",
        calibration=calibration_facts(store, sources.rounds, sources.calibration),
    )


def _mined_by(store: Store, sources: ReportInputs) -> dict[int, str]:
    """Whose scores mined each round: `first_stage`, `reranker` or `fused`."""
    return {
        number: store.manifest(made["selection"]).summary["mined_by"]
        for number, made in sources.rounds.items()
    }


def _outcome(decision: dict[str, Any]) -> str:
    """The last decision's reason as a sentence."""
    reason: str = decision["reason"]
    return f"{reason[:1].upper()}{reason[1:]}."


def _negatives(store: Store, sources: ReportInputs) -> Any:
    """What changed among the negatives in each round, and the hardest of the last one."""
    from strop.pipeline.mining.negative_changes import (
        COLUMNS,
        hardest_ids,
        hardest_negatives,
        negative_changes,
    )
    from strop.pipeline.reporting.negatives import Negatives

    if not sources.rounds:
        return Negatives()

    def selection(ref: ArtifactRef) -> Any:
        path = store.file(ref, "selection.parquet")
        return partial(tables.iterate_batches, path, columns=COLUMNS)

    changes = {
        number: negative_changes(
            selection(made["selection"]),
            selection(made["last_selection"]) if "last_selection" in made else None,
        )
        for number, made in sources.rounds.items()
    }
    last = sources.rounds[max(sources.rounds)]["selection"]
    found = hardest_negatives(chosen_rows(store, last, columns=[*COLUMNS, "mining_score"]), HARDEST)
    dataset = store.manifest(sources.candidates).inputs["dataset"]
    query_ids, passage_ids = hardest_ids(found)
    return Negatives(changes, found, *shown_texts(store, dataset, query_ids, passage_ids))


def _examples(store: Store, sources: ReportInputs, metric: str) -> Any:
    """Queries of the round that is looked at with their passages before and after."""
    from strop.pipeline.evaluation.examples import examples, shown_ids
    from strop.pipeline.reporting.examples import Examples

    measured = sources.metrics[sources.looked_at]
    made = store.manifest(measured).inputs
    found = examples(
        store.table(made["ranking"], "ranking"),
        store.table(measured, "per_query"),
        store.table(made["dataset"], "qrels"),
        split=sources.split,
        metric=metric,
    )
    texts = shown_texts(store, made["dataset"], *shown_ids(found))
    return Examples(found, *texts, round=sources.looked_at)


def _breakdown(store: Store, sources: ReportInputs) -> Any:
    """The breakdown of the round that is looked at."""
    from strop.pipeline.reporting.breakdown import Breakdown

    if sources.breakdown is None:
        return None
    timed = store.manifest(sources.latency) if sources.latency else None
    return Breakdown(
        round=sources.looked_at,
        depths=store.table(sources.breakdown, "depths"),
        slices=store.table(sources.breakdown, "slices"),
        power=store.table(sources.breakdown, "power"),
        latency=timed.execution["latency"] if timed else (),
        timed_on=f"{timed.device}, {timed.created[:10]}" if timed else "",
    )


def _work(store: Store, sources: ReportInputs, number: int) -> Any:
    """What the stages of a round took; None where the run's start is not known."""
    from strop.pipeline.reporting.curriculum import RoundWork

    if not sources.started:
        return None
    made = [store.manifest(ref) for ref in sources.work.get(number, [])]
    own = [manifest for manifest in made if manifest.created >= sources.started]
    seconds = sum(manifest.seconds for manifest in own)
    return RoundWork(seconds, len(made), len(made) - len(own))


def _facts(store: Store, made: Refs, work: Any) -> Any:
    from strop.pipeline.reporting.report import RoundFacts
    from strop.pipeline.reporting.scores import ScoreFacts

    fusion = json.loads(store.file(made["ranking_dev"], "fusion.json").read_bytes())
    mining = store.manifest(made["selection"]).summary
    alarms = store.table(made["diagnosis"], "alarms").to_pylist()
    numbers = store.table(made["diagnosis"], "summary")
    return RoundFacts(
        curriculum=store.table(made["curriculum"], "curriculum").to_pylist()[0],
        mining={
            **{key: mining[key] for key in MINING_FACTS},
            **{key: mining[key] for key in VERDICT_FACTS if key in mining},
        },
        weight=fusion["weight"],
        weight_curve=[(weight, value) for weight, value in fusion["curve"]],
        scores=ScoreFacts(
            numbers=dict(
                zip(numbers["name"].to_pylist(), numbers["value"].to_pylist(), strict=True)
            ),
            histogram=store.table(made["diagnosis"], "histogram"),
            alarms=[
                f"{alarm['evidence']}. Likely cause: {alarm['cause']}. Treat: {alarm['remedy']}."
                for alarm in alarms
            ],
        ),
        work=work,
    )
