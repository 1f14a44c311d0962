"""The calibration of a ranking's scores: out of fold, by group, and what is too little for it."""

import numpy as np
import pytest
from scipy.special import expit

from strop.artifacts.schemas import CALIBRATION_MEASURES, RELIABILITY
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.calibration import (
    check_candidates,
    check_judgements,
    fit_on_dev,
    measure,
)
from strop.pipeline.evaluation.calibrators import FITS
from strop.pipeline.evaluation.metrics import judge
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.evaluation.reliability import brier_score


class World:
    """Queries of ten candidates, whose labels are drawn from a curve of their logits."""

    def __init__(self, tables, curve, *, queries=60, groups=None, split="dev", seed=0):
        random = np.random.default_rng(seed)
        ids = [f"q{number:03d}" for number in range(queries)]
        self.logits = random.normal(0, 3, (queries, 10)).astype(np.float32).astype(float)
        self.positive = random.random(self.logits.shape) < curve(self.logits)
        self.positive[~self.positive.any(1), 0] = True  # every query is judged
        self.group_of = [f"g{n % groups}" if groups else q for n, q in enumerate(ids)]
        passages = {q: [f"p{n}" for n in range(10)] for q in ids}
        self.candidates = tables.candidates(passages, split=split)
        grades = {
            q: {f"p{n}": 1 for n in np.flatnonzero(row)}
            for q, row in zip(ids, self.positive, strict=True)
        }
        queries_table = tables.queries(ids, split=split, groups=self.group_of)
        self.judgements = judge(tables.qrels(grades, split=split), queries_table, split=split)
        self.ranking = build_ranking(self.candidates, self.logits.ravel(), 10)

    def fit(self, method, seed=1):
        return fit_on_dev(self.ranking, self.judgements, method=method, seed=seed)


def shifted(logits):
    return expit(logits - 3)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_shift_of_all_scores_is_repaired_on_queries_that_were_not_fitted(tables, method):
    calibrator, dev = World(tables, shifted, queries=150).fit(method)
    other = World(tables, shifted, queries=150, split="test", seed=7)
    test = measure(other.ranking, other.judgements, calibrator, method=method)
    for found, split in ((dev, "dev"), (test, "test")):
        assert found.measures.schema == CALIBRATION_MEASURES
        assert found.reliability.schema == RELIABILITY
        before, after = found.measures.to_pylist()
        assert (before["calibration"], after["calibration"]) == ("none", method)
        assert (before["split"], before["num_candidates"], before["num_queries"]) == (
            split,
            1500,
            150,
        )
        assert before["ece"] > 0.2
        assert after["ece"] < 0.06
        assert after["brier"] < before["brier"] - 0.05


def test_each_fold_is_one_of_five_groups_and_is_judged_by_the_others(tables):
    world = World(tables, shifted, queries=20, groups=5)
    _, found = world.fit("isotonic")
    groups = np.array([int(group[1:]) for group in world.group_of])
    expected = np.empty_like(world.logits)
    for group in range(5):
        rest, held_out = groups != group, groups == group
        fitted = FITS["isotonic"](world.logits[rest].ravel(), world.positive[rest].ravel())
        expected[held_out] = fitted.probabilities(world.logits[held_out])
    after = found.measures.to_pylist()[1]
    assert after["brier"] == pytest.approx(brier_score(expected.ravel(), world.positive.ravel()))


def test_the_calibrator_itself_is_fitted_on_all_of_dev(tables):
    world = World(tables, shifted)
    calibrator, found = world.fit("isotonic")
    assert calibrator == FITS["isotonic"](world.logits.ravel(), world.positive.ravel())
    own = brier_score(calibrator.probabilities(world.logits.ravel()), world.positive.ravel())
    assert own < found.measures["brier"].to_pylist()[1] - 0.002


def test_equal_seeds_give_equal_tables_and_others_other_folds(tables):
    world = World(tables, shifted)
    (first, one), (again, two), (_, three) = (world.fit("isotonic", seed) for seed in (1, 1, 2))
    assert (first, one.measures, one.reliability) == (again, two.measures, two.reliability)
    assert one.measures != three.measures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": 9}, "dev has 9 positives in 9 groups of queries, expected at least 20 in 5"),
        ({"queries": 24, "groups": 4}, "dev has 24 positives in 4 groups"),
    ],
)
def test_too_few_positives_are_refused_from_labels_alone_and_when_fitting(tables, options, message):
    world = World(tables, np.zeros_like, **options)
    with pytest.raises(InputError, match=message):
        check_judgements(world.judgements, "platt")
    with pytest.raises(InputError, match=r"evaluation\.calibration = 'platt': " + message):
        world.fit("platt")


def test_positives_below_the_depth_do_not_count(tables):
    world = World(tables, np.zeros_like, queries=30)  # each query's positive is its first candidate
    check_judgements(world.judgements, "platt")
    check_candidates(world.candidates, world.judgements, depth=1, method="platt")
    reversed_ids = {f"q{n:03d}": [f"p{9 - m}" for m in range(10)] for n in range(30)}
    candidates = tables.candidates(reversed_ids)
    check_candidates(candidates, world.judgements, depth=10, method="platt")
    with pytest.raises(InputError, match="dev has 0 positives among 9 candidates in 0 groups"):
        check_candidates(candidates, world.judgements, depth=9, method="platt")
