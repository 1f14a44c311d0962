"""Alarms by their causes: rerankers are really trained in the way that they warn of.

Over-conservatism, which wants a round before it, is in `test_over_conservatism.py`.
"""

import numpy as np
import pyarrow as pa
import pytest

from strop.pipeline.evaluation.diagnosis import diagnose
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from tests.pipeline.conftest import EvaluationTables
from tests.pipeline.training_world import NUM_QUERIES, PASSAGES, QUERIES, config, fit, source
from tests.world import tiny_model

RELEVANT = {f"q{number}": {f"passage{number}": 1} for number in range(NUM_QUERIES)}
TRAININGS = {
    "healthy": {"epochs": 60, "learning_rate": 3e-3},
    "too fast": {"epochs": 20, "learning_rate": 1.0},
}


@pytest.fixture(scope="module")
def rankings(tmp_path_factory):
    """A maker of each reranker's ranking of all passages, by its name; every one is made once."""
    folder = tiny_model(tmp_path_factory.mktemp("base") / "model", seed=1, one_logit=True)
    candidates = EvaluationTables.candidates({id_: list(PASSAGES) for id_ in QUERIES})
    made = {}

    def ranking(name):
        if name not in made:
            asked = TRAININGS.get(name)
            trained = fit(folder, config(**asked)).reranker if asked else load_reranker(folder)
            shards = list(Scorer(trained, source(), config().reranker).score(candidates))
            scores = pa.concat_tables(shards)["score"].to_numpy()
            made[name] = build_ranking(candidates, scores, NUM_QUERIES)
        return made[name]

    return ranking


def alarms(rankings, now, before=None):
    judgements = EvaluationTables.judgements(RELEVANT)
    earlier = rankings(before) if before else None
    return {alarm.name for alarm in diagnose(rankings(now), judgements, before=earlier).alarms}


def test_a_training_that_ends_well_fires_none(rankings):
    assert alarms(rankings, "healthy") == set()


@pytest.mark.parametrize(
    ("now", "before", "raised"),
    [
        # too little training for a fresh head
        ("untrained", None, {"weak", "overlap"}),
        # a learning rate so high that equal scores are all that is left
        ("too fast", None, {"collapse", "weak", "overlap"}),
        # scores that training sharpens, at a level that group softmax leaves free
        ("healthy", "untrained", {"drift", "rescaling"}),
    ],
)
def test_a_cause_fires_its_alarms_and_no_other(rankings, now, before, raised):
    assert alarms(rankings, now, before) == raised


def test_positives_below_the_depth_that_is_scored_fire_their_alarm():
    far = EvaluationTables.candidates({"q0": list(reversed(PASSAGES))})
    ranking = build_ranking(far, np.linspace(2, -2, NUM_QUERIES - 1), NUM_QUERIES - 1)
    judgements = EvaluationTables.judgements({"q0": RELEVANT["q0"]})
    assert [alarm.name for alarm in diagnose(ranking, judgements).alarms] == ["no positives"]
