"""The calibration of a reranker, beside its model, and what it is worth on another split."""

import json
from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.candidates import candidates_of_split
from strop.tasks.documents import document_map
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("calibrate")
def calibrate(
    place: Place, dataset: ArtifactRef, ranking: ArtifactRef, reranker: ArtifactRef, config: Config
) -> Any:
    """Probabilities for a reranker's logits, fitted on its ranking of dev."""
    method = config.evaluation.calibration
    parameters = {"method": method, "split": "dev", "seed": config.seed}
    inputs = {"dataset": dataset, "ranking": ranking, "reranker": reranker}
    recipe = Recipe("calibration", "calibrate", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.calibration import fit_on_dev
        from strop.pipeline.evaluation.calibration_card import calibration_card
        from strop.pipeline.evaluation.calibrators import to_values

        store = place.open()
        calibrator, found = fit_on_dev(
            store.table(ranking, "ranking"),
            _judgements(store, dataset, "dev"),
            method=method,
            seed=config.seed,
        )
        measures = found.measures.to_pylist()
        values = {**to_values(method, calibrator), "dev": measures, "reranker": reranker.id}
        text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
        card = calibration_card(values, measures, depth=config.evaluation.depth)
        (attempt.folder / "calibration.json").write_text(text, encoding="utf-8")
        (attempt.folder / "calibration.md").write_text(card, encoding="utf-8")
        attempt.write_table("measures", found.measures)
        attempt.write_table("reliability", found.reliability)
        return {"method": method, **_headline(measures)}

    return carry_out(place, recipe, compute)


@stage_task("measure calibration")
def measure_calibration(
    place: Place, dataset: ArtifactRef, ranking: ArtifactRef, calibration: ArtifactRef, split: str
) -> Any:
    """The calibration errors on a split that the calibration was not fitted on."""
    inputs = {"dataset": dataset, "ranking": ranking, "calibration": calibration}
    recipe = Recipe("calibration_metrics", "measure calibration", 1, {"split": split}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.calibration import measure
        from strop.pipeline.evaluation.calibrators import from_values

        store = place.open()
        values = json.loads(store.file(calibration, "calibration.json").read_bytes())
        found = measure(
            store.table(ranking, "ranking"),
            _judgements(store, dataset, split),
            from_values(values),
            method=values["method"],
        )
        attempt.write_table("measures", found.measures)
        attempt.write_table("reliability", found.reliability)
        return {"split": split, **_headline(found.measures.to_pylist())}

    return carry_out(place, recipe, compute)


def check_calibration(
    place: Place, config: Config, dataset: ArtifactRef, candidates: ArtifactRef | None = None
) -> None:
    """Raise `InputError` where dev is too small for the calibration that the config asks for.

    Without candidates only the labels are looked at, which takes no retrieval.
    """
    method = config.evaluation.calibration
    if method == "none":
        return
    from strop.pipeline.evaluation.calibration import check_candidates, check_judgements

    store = place.open()
    judgements = _judgements(store, dataset, "dev")
    if candidates is None:
        check_judgements(judgements, method)
        return
    table = candidates_of_split(store, candidates, "dev")
    table = document_map(store, dataset).best_ranks(table)
    check_candidates(table, judgements, depth=config.evaluation.depth, method=method)


def _judgements(store: Store, dataset: ArtifactRef, split: str) -> Any:
    from strop.pipeline.evaluation.metrics import judge

    return judge(store.table(dataset, "qrels"), store.table(dataset, "queries"), split=split)


def _headline(measures: list[dict[str, Any]]) -> dict[str, float]:
    before, after = measures
    return {
        f"{name} {when}": float(row[key])
        for name, key in (("ECE", "ece"), ("Brier", "brier"))
        for when, row in (("before", before), ("after", after))
    }
