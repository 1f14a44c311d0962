"""What a report tells of calibration, out of the artifacts that it is made from."""

from collections.abc import Mapping
from typing import Any

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store

Refs = dict[str, ArtifactRef]


def calibration_facts(store: Store, rounds: Mapping[int, Refs], calibrated: Refs) -> Any:
    """The diagnosed rounds' errors and, where one was fitted, those of the calibration.

    Rounds that were diagnosed before there was a reliability table are left out.
    """
    from strop.pipeline.reporting.calibration import CalibrationFacts

    diagnosed = {number: store.manifest(made["diagnosis"]) for number, made in rounds.items()}
    diagnosed = {n: made for n, made in diagnosed.items() if "reliability.parquet" in made.files}
    numbers = {number: store.table(made, "summary") for number, made in diagnosed.items()}
    fitted = {
        ("test" if role.endswith("_test") else "dev"): ref for role, ref in calibrated.items()
    }
    return CalibrationFacts(
        numbers={
            number: dict(zip(table["name"].to_pylist(), table["value"].to_pylist(), strict=True))
            for number, table in numbers.items()
        },
        reliability={n: store.table(made, "reliability") for n, made in diagnosed.items()},
        fitted_round=_round_of(store, rounds, calibrated),
        measures={split: store.table(ref, "measures") for split, ref in fitted.items()},
        fitted={split: store.table(ref, "reliability") for split, ref in fitted.items()},
    )


def _round_of(store: Store, rounds: Mapping[int, Refs], calibrated: Refs) -> int:
    """The round whose reranker was calibrated; 0 for the untuned base, or where none was."""
    if not calibrated:
        return 0
    reranker = store.manifest(calibrated["calibration"]).inputs["reranker"]
    return next((number for number, made in rounds.items() if made["reranker"] == reranker), 0)
