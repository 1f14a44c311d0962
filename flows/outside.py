"""Outside rerankers and runs: measured on the candidates of a run that did not train them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.inner_config import InnerConfig
from strop.flows.location import Location
from strop.flows.session import ASSESS, PREPARE, Refs, Session
from strop.pipeline.config import Config
from strop.pipeline.errors import valued
from strop.tasks.import_model import import_model
from strop.tasks.import_run_file import import_run_file
from strop.tasks.initialise import initialise, require_head
from strop.tasks.measure import evaluate
from strop.tasks.mine import fusion_weight
from strop.tasks.rank_run_file import rank_run_file
from strop.tasks.rerank import rerank
from strop.tasks.stage import Place, call
from strop.tasks.tokenize import tokenize


@flow(name="compare", flow_run_name="compare {config.name}", validate_parameters=False)
def measure_outside(
    config: InnerConfig,
    rerankers: Sequence[str],
    run_files: Sequence[Path],
    split: str,
    store: Location,
) -> list[ArtifactRef]:
    """The metrics of outside rerankers, then of run files, on a run's data set and candidates."""
    opened = Store(store)
    shared = Run(opened, config.name).parts()[PREPARE]
    place = Place(opened.location, config.name, "compare")
    named = [(_place_of(place, name), name) for name in rerankers]
    found = [(at, find_reranker(at, config, name, "--reranker")) for at, name in named]
    files = [(_place_of(place, path.name), path) for path in run_files]
    rankings = [_run_ranking(at, shared, path, split) for at, path in files]
    untrusted = without_code(config)
    measured = [
        measure_reranker(at, untrusted, shared, reranker, split=split) for at, reranker in found
    ]
    return measured + [
        call(evaluate, at, shared["dataset"], ranking, config, split, ("reranker",))
        for (at, _), ranking in zip(files, rankings, strict=True)
    ]


def find_reranker(place: Place, config: Config, name: str, what: str) -> ArtifactRef:
    """A trained reranker by folder or name; raises `InputError` for a model without a head."""
    model = call(import_model, place, name, what)
    settings = without_code(config).reranker.model_copy(update={"base": name})
    reranker: ArtifactRef = call(initialise, place, model, settings, config.seed)
    require_head(place.open().manifest(reranker).summary["fresh_head"], valued(what, name))
    return reranker


def measure_reranker(
    place: Place,
    config: Config,
    shared: Refs,
    reranker: ArtifactRef,
    *,
    split: str,
    weight: float | None = None,
    tokenizer: ArtifactRef | None = None,
) -> ArtifactRef:
    """The metrics of a reranker of any origin on the candidates in ``shared``.

    The fusion weight is the one given, or chosen on dev as a round's is. ``tokenizer`` is another
    reranker with the same one, whose tokens there may be already.
    """
    dataset, candidates = shared["dataset"], shared["candidates"]
    tokens = call(tokenize, place, dataset, tokenizer or reranker, config.reranker)
    stage = (rerank, place, dataset, candidates, tokens, reranker, config)
    if weight is None and split != "dev":
        weight = fusion_weight(place, call(*stage, "dev"))
    ranking = call(*stage, split, weight)
    metrics: ArtifactRef = call(evaluate, place, dataset, ranking, config, split)
    return metrics


def outside_of_run(session: Session, split: str) -> dict[tuple[str, str], ArtifactRef]:
    """The metrics of rerankers that a run's rounds are shown beside, by role and name.

    They are the one off the shelf that the config names, and champions that come from another run.
    """
    config, shared, place = session.config, session.part(PREPARE), session.place(ASSESS)
    found = {}
    if name := config.evaluation.off_the_shelf:
        at = _place_of(place, name)
        reranker = find_off_the_shelf(at, config, name)
        metrics = measure_reranker(at, without_code(config), shared, reranker, split=split)
        found["off the shelf", Path(name).name] = metrics
    champions = {"champion": session.champion(), "champion before": session.opponent()}
    seen = []
    for role, value in champions.items():
        if value is None or not value["reranker"] or value["run"] == session.run.name:
            continue
        reranker, weight = ArtifactRef(**value["reranker"]), float(value["weight"])
        if (reranker, weight) not in seen:
            seen.append((reranker, weight))
            at = replace(place, part=f"{place.part} · {role}")
            metrics = measure_reranker(at, config, shared, reranker, split=split, weight=weight)
            found[role, _title(value)] = metrics
    return found


def find_off_the_shelf(place: Place, config: Config, name: str) -> ArtifactRef:
    """The reranker off the shelf; raises `InputError` for a model that is none."""
    return find_reranker(place, config, name, "evaluation.off_the_shelf")


def _title(champion: dict[str, Any]) -> str:
    """A champion's name with its run, which that of an untuned base does not tell."""
    name, run = str(champion["name"]), champion["run"]
    return name if champion["round"] else f"{name} of {run}"


def without_code(config: Config) -> Config:
    """The config for a model that the run did not make: a code of its own never runs."""
    own = {"replace_head": False, "trust_remote_code": False}
    return config.model_copy(update={"reranker": config.reranker.model_copy(update=own)})


def _run_ranking(place: Place, shared: Refs, path: Path, split: str) -> ArtifactRef:
    run_file = call(import_run_file, place, path)
    ranking: ArtifactRef = call(
        rank_run_file, place, shared["dataset"], shared["candidates"], run_file, path, split
    )
    return ranking


def _place_of(place: Place, name: str) -> Place:
    """Where the stages of one model or file run, so that people can tell several apart."""
    return replace(place, part=f"{place.part} · {Path(name).name}")
