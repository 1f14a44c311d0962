"""The calibration of a reranker: fitted on dev, measured out of fold there and once on test."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.model_selection import StratifiedGroupKFold

from strop.artifacts.schemas import CALIBRATION_MEASURES
from strop.pipeline.errors import InputError, counted
from strop.pipeline.evaluation.calibrators import FITS, Calibrator
from strop.pipeline.evaluation.labelled_scores import (
    LabelledScores,
    group_codes,
    judged_rows,
    labelled_scores,
)
from strop.pipeline.evaluation.metrics import Judgements, is_positive
from strop.pipeline.evaluation.ranking import FloatArray, IntArray, within_depth
from strop.pipeline.evaluation.reliability import (
    brier_score,
    expected_calibration_error,
    reliability_table,
    sigmoid,
)
from strop.pipeline.seeds import derived_seed

NUM_FOLDS = 5
MIN_POSITIVES = 20
"""Ten for each of the two numbers of a logistic curve (Peduzzi et al. 1996)."""


@dataclass(frozen=True)
class Measured:
    """`CALIBRATION_MEASURES` and `RELIABILITY` rows of the plain sigmoid and of a calibrator."""

    measures: pa.Table
    reliability: pa.Table


def fit_on_dev(
    ranking: pa.Table, judgements: Judgements, *, method: str, seed: int
) -> tuple[Calibrator, Measured]:
    """The calibrator of all scored candidates, and what it gives those it was not fitted on.

    Folds keep the queries of a ``group_id`` together. Raises `InputError` for too few positives.
    """
    scored = judged_rows(ranking.filter(ranking["score"].is_valid()), judgements)
    found, groups = labelled_scores(ranking, judgements), group_codes(scored, judgements)
    _require_positives(found.positive.sum(), len(np.unique(groups[found.positive])), method)
    calibrated = _out_of_fold(found, groups, method=method, seed=seed)
    return (
        FITS[method](found.scores, found.positive),
        _measured(found, calibrated, split=judgements.split, method=method),
    )


def measure(
    ranking: pa.Table, judgements: Judgements, calibrator: Calibrator, *, method: str
) -> Measured:
    """What a calibrator gives the candidates of a split on which it was not fitted."""
    found = labelled_scores(ranking, judgements)
    calibrated = calibrator.probabilities(found.scores)
    return _measured(found, calibrated, split=judgements.split, method=method)


def check_judgements(judgements: Judgements, method: str) -> None:
    """Raise `InputError` where dev's labels alone are too few to fit; costs no retrieval."""
    positives = sum(
        grade > 0 for query in judgements.query_ids for grade in judgements.grades[query].values()
    )
    _require_positives(positives, len(set(judgements.group_ids)), method)


def check_candidates(
    candidates: pa.Table, judgements: Judgements, *, depth: int, method: str
) -> None:
    """Raise `InputError` where too few positives are among the candidates that are scored."""
    rows = within_depth(judged_rows(candidates, judgements), depth)
    positive, groups = is_positive(rows, judgements), group_codes(rows, judgements)
    _require_positives(
        positive.sum(), len(np.unique(groups[positive])), method, f" among {depth} candidates"
    )


def _require_positives(positives: int, groups: int, method: str, where: str = "") -> None:
    if positives < MIN_POSITIVES or groups < NUM_FOLDS:
        found = (
            f"{counted(positives, 'positives')}{where} in {counted(groups, 'groups of queries')}"
        )
        raise InputError(
            f"evaluation.calibration = {method!r}: dev has {found}, expected at least "
            f"{MIN_POSITIVES} in {NUM_FOLDS}; give it more dev queries, or none as calibration"
        )


def _out_of_fold(found: LabelledScores, groups: IntArray, *, method: str, seed: int) -> FloatArray:
    """Each candidate's probability by the calibrator of the folds that it is not in."""
    state = derived_seed(seed, "calibrate") % 2**32  # scikit-learn takes 32 bits
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=state)
    probabilities = np.empty(len(found.scores))
    for fitted, held_out in folds.split(found.scores, found.positive, groups):
        calibrator = FITS[method](found.scores[fitted], found.positive[fitted])
        probabilities[held_out] = calibrator.probabilities(found.scores[held_out])
    return probabilities


def _measured(
    found: LabelledScores, calibrated: FloatArray, *, split: str, method: str
) -> Measured:
    measures, reliability = [], []
    for name, probabilities in (("none", sigmoid(found.scores)), (method, calibrated)):
        measures.append(
            {
                "split": split,
                "calibration": name,
                "ece": expected_calibration_error(probabilities, found.positive),
                "brier": brier_score(probabilities, found.positive),
                "num_candidates": len(found.scores),
                "num_positives": int(found.positive.sum()),
                "num_queries": int(found.queries.max() + 1),
            }
        )
        reliability.append(
            reliability_table(probabilities, found.positive, split=split, calibration=name)
        )
    return Measured(
        pa.Table.from_pylist(measures, schema=CALIBRATION_MEASURES),
        pa.concat_tables(reliability).unify_dictionaries(),
    )
