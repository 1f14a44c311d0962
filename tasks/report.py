"""The report artifact: a self-contained page, its Markdown, and the table of results."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.context import TaskRunContext

from strop import __version__
from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.publishing import artifact_key
from strop.tasks.stage import Place, carry_out, stage_task

Refs = dict[str, ArtifactRef]

COMMANDS = """\
# strop {version}; save the config above as strop.yaml
strop run strop.yaml          # goes on, or finds every stage in the store
strop assess strop.yaml       # this report
strop mine {name} --round 2 --margin 0.5   # another choice of negatives, without scoring
strop artifacts lineage ID    # what an id above was made from
"""
MINING_FACTS = ("mined_by", "queries", "negatives", "suspects", "queries_with_fewer_negatives")
VERDICT_FACTS = ("changed_by_verdicts",)
"""Told of rounds that were mined with verdicts."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made from: metrics of one split and the refs of each round, by number.

    ``champion`` is the (round, ranking) of the champion's row, None for one of another run;
    ``decisions`` are in the order in which they were made. ``outside`` are metrics by role and
    name of rerankers that are none of the run's.
    """

    split: str
    metrics: dict[int, ArtifactRef]
    rounds: dict[int, Refs]
    candidates: ArtifactRef
    decisions: list[ArtifactRef]
    champion: tuple[int, str] | None
    champion_name: str
    notes: list[str] = field(default_factory=list)
    breakdown: ArtifactRef | None = None
    latency: ArtifactRef | None = None
    outside: dict[tuple[str, str], ArtifactRef] = field(default_factory=dict)

    def refs(self) -> Refs:
        """Every ref by a role that is unique."""
        refs: Refs = {"candidates": self.candidates}
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
    """Write the report of a run."""
    parameters = {
        "config": config.identity(),
        "split": sources.split,
        "champion": list(sources.champion) if sources.champion else None,
        "champion_name": sources.champion_name,
        "notes": sources.notes,
    }
    recipe = Recipe("report", "report", 2, parameters, sources.refs())

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.reporting.report import render_html, render_markdown

        data = _gather(place.open(), config, sources)
        attempt.write_table("results", data.results)
        if data.outside is not None:
            attempt.write_table("outside", data.outside)
        (attempt.folder / "report.html").write_text(render_html(data), encoding="utf-8")
        (attempt.folder / "report.md").write_text(render_markdown(data), encoding="utf-8")
        return {"champion": sources.champion_name, "rounds": len(sources.rounds)}

    result = carry_out(place, recipe, compute)
    _publish(place, recipe)
    return result


def _publish(place: Place, recipe: Recipe) -> None:
    if TaskRunContext.get() is None:
        return
    store = place.open()
    manifest = store.lookup(recipe)
    if manifest is None:
        return
    text = store.file(manifest, "report.md").read_text(encoding="utf-8")
    create_markdown_artifact(text, key=artifact_key(place.run, "report-page"))
    page = store.file(manifest, "report.html")
    create_link_artifact(
        page.as_uri(), link_text=str(page), key=artifact_key(place.run, "report-link")
    )


def _gather(store: Store, config: Config, sources: ReportInputs) -> Any:
    from strop.pipeline.evaluation.metrics import metric_label, parse_metric
    from strop.pipeline.evaluation.results import Outsider, results_tables
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
    decisions = [store.table(ref, "decision") for ref in sources.decisions]
    ceiling = store.manifest(sources.candidates).summary["recall_ceiling"]
    return ReportData(
        title=config.name,
        results=results,
        outside=outside if outsiders else None,
        decisions=pa.concat_tables(decisions).unify_dictionaries(),
        champion=sources.champion,
        champion_name=sources.champion_name,
        rounds={number: _facts(store, made) for number, made in sources.rounds.items()},
        recall_ceiling=ceiling.get(sources.split),
        examples=_examples(store, sources, metric),
        lineage={role: f"{ref.kind} {ref.id}" for role, ref in sources.refs().items()},
        config=yaml.safe_dump(config.identity(), sort_keys=False, allow_unicode=True),
        commands=COMMANDS.format(version=__version__, name=config.name),
        notes=sources.notes,
        breakdown=_breakdown(store, sources),
        metric=metric,
    )


def _examples(store: Store, sources: ReportInputs, metric: str) -> Any:
    """Queries of the last round with their passages before and after."""
    from strop.pipeline.evaluation.examples import examples, shown_ids
    from strop.pipeline.reporting.examples import Examples

    last = sources.metrics[max(sources.metrics)]
    made = store.manifest(last).inputs
    found = examples(
        store.table(made["ranking"], "ranking"),
        store.table(last, "per_query"),
        store.table(made["dataset"], "qrels"),
        split=sources.split,
        metric=metric,
    )
    query_ids, passage_ids = map(pa.array, shown_ids(found))
    queries = store.table(made["dataset"], "queries")
    passages = tables.iterate_batches(store.file(made["dataset"], "corpus.parquet"))
    return Examples(
        found,
        _texts([queries], "query_id", query_ids),
        _texts(passages, "passage_id", passage_ids),
    )


def _texts(parts: Iterable[pa.Table], key: str, ids: pa.Array) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        rows = part.filter(pc.is_in(part[key], value_set=ids))
        found |= dict(zip(rows[key].to_pylist(), rows["text"].to_pylist(), strict=True))
    return found


def _breakdown(store: Store, sources: ReportInputs) -> Any:
    """The breakdown of the champion's round, or of the last one when it is none of this run's."""
    from strop.pipeline.reporting.breakdown import Breakdown

    if sources.breakdown is None or sources.latency is None:
        return None
    champion = sources.champion
    tuned = champion is not None and champion[1] != "first_stage"
    timed = store.manifest(sources.latency)
    return Breakdown(
        round=champion[0] if champion and tuned else max(sources.metrics),
        depths=store.table(sources.breakdown, "depths"),
        slices=store.table(sources.breakdown, "slices"),
        power=store.table(sources.breakdown, "power"),
        latency=timed.execution["latency"],
        timed_on=f"{timed.device}, {timed.created[:10]}",
    )


def _facts(store: Store, made: Refs) -> Any:
    from strop.pipeline.reporting.report import RoundFacts

    fusion = json.loads(store.file(made["ranking_dev"], "fusion.json").read_bytes())
    mining = store.manifest(made["selection"]).summary
    alarms = store.table(made["diagnosis"], "alarms").to_pylist()
    return RoundFacts(
        curriculum=store.table(made["curriculum"], "curriculum").to_pylist()[0],
        mining={
            **{key: mining[key] for key in MINING_FACTS},
            **{key: mining[key] for key in VERDICT_FACTS if key in mining},
        },
        weight=fusion["weight"],
        weight_curve=[(weight, value) for weight, value in fusion["curve"]],
        histogram=store.table(made["diagnosis"], "histogram"),
        alarms=[
            f"{alarm['evidence']}. Likely cause: {alarm['cause']}. Treat: {alarm['remedy']}."
            for alarm in alarms
        ],
    )
