"""Over-conservatism by its cause: the same pairs are really trained on, in few or many negatives.

Round 1 has learned from passages of low first-stage rank what a passage is about. What is left to
learn in round 2 are the hard ones, of which a reranker that meets all candidates of a query at once
sees too little: it pushes the easy ones further down instead.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.schemas import SCORES
from strop.pipeline.config import Config, Mining
from strop.pipeline.evaluation.diagnosis import diagnose
from strop.pipeline.evaluation.ranking import build_ranking
from strop.pipeline.mining.feedback import Evidence, fed_back
from strop.pipeline.mining.negatives import negatives
from strop.pipeline.mining.pool import sources, window
from strop.pipeline.mining.rows import selection_rows
from strop.pipeline.mining.selection import Round, select
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from strop.pipeline.training.train import train
from tests.pipeline.conftest import EvaluationTables
from tests.world import COMMON, RARE, bert_tokenizer, pair_source, tiny_model

NUM_QUERIES, PASSAGE_WORDS = 30, 12
KINDS = {"positive": 1, "hard": 5, "easy": 25}
"""Candidates of a query, in the order of the first stage."""
TOPIC, GIVEAWAY = RARE[:2]
FEW, MANY = 5, 31
"""Members of a group; many are all candidates of the query."""
EPOCHS = {FEW: 12, MANY: 2}
"""As many as make 1,800 and 1,860 pairs."""


def passage(kind, random):
    """A hard one speaks of the topic more than a positive, but has a word that tells."""
    low, high, giveaways = {"positive": (2, 5, 0), "hard": (3, 6, 1), "easy": (0, 2, 0)}[kind]
    words = [TOPIC] * int(random.integers(low, high)) + [GIVEAWAY] * giveaways
    words += random.choice(COMMON, PASSAGE_WORDS - len(words)).tolist()
    return " ".join(random.permutation(words))


@cache
def texts():
    random = np.random.default_rng(7)
    ids = [f"{split}{number}" for split in ("train", "dev") for number in range(NUM_QUERIES)]
    queries = {id_: " ".join(random.choice(COMMON, 3)) for id_ in ids}
    passages = {
        f"{id_}-{kind}{number}": passage(kind, random)
        for id_ in ids
        for kind, count in KINDS.items()
        for number in range(count)
    }
    return queries, passages


@cache
def source():
    return pair_source(bert_tokenizer(), *texts())


@cache
def candidates(split):
    queries, passages = texts()
    pools = {q: [p for p in passages if p.startswith(f"{q}-")] for q in queries if split in q}
    return EvaluationTables.candidates(pools, split=split)


def positives(split):
    return {f"{split}{number}": {f"{split}{number}-positive0": 1} for number in range(NUM_QUERIES)}


def config(*, epochs, learning_rate, **mining):
    training = {"epochs": epochs, "learning_rate": learning_rate, "groups_per_step": 5}
    return Config.model_validate(
        {
            "rounds": 2,
            "reranker": {"max_tokens": 64, "max_query_tokens": 16},
            "mining": {"guard": {"rule": "none"}, "window_size": 50, **mining},
            "training": {**training, "schedule_over": "round"},
        }
    )


def scores_of(reranker, split, settings):
    shards = list(Scorer(reranker, source(), settings.reranker).score(candidates(split)))
    return pa.concat_tables(shards)


def mined(scores, settings, number):
    """The negatives that the config chooses, by the first stage where there are no scores."""
    found = candidates("train")
    ids = pa.array(list(positives("train")))
    rows = [
        {"query_id": q, "passage_id": p, "score": 10.0}
        for q, graded in positives("train").items()
        for p in graded
    ]
    given = {"reranker_score": scores, "teacher_score": None, "earlier_score": None}
    table = selection_rows(
        window(sources(found, [], settings.mining), ids),
        pa.Table.from_pylist(rows, schema=SCORES),
        EvaluationTables.qrels(positives("train"), split="train"),
        given,
    )
    this = Round(
        number, 2, seed=1, temperature=1.0, weight=1.0 if scores else 0.0,
        group_size=settings.mining.group_size, draw=number,
    )  # fmt: skip
    keys = np.arange(table.num_rows, dtype=np.int64)
    chosen = select(table, keys, None, settings.mining, this)
    queries = EvaluationTables.queries(list(positives("train")), split="train")
    return negatives(chosen.table, chosen.group_sizes, queries)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Round 1's ranking of dev, and a maker of round 2's by what it mines."""
    folder = tiny_model(tmp_path_factory.mktemp("base") / "model", seed=1, one_logit=True)
    easy = {"min_rank": 7, "group_size": 6, "sampler": "uniform"}
    first = config(epochs=7, learning_rate=1e-3, **easy)
    trained = train(load_reranker(folder), mined(None, first, 1), source(), first, round_number=1)
    weights = {name: w.clone() for name, w in trained.reranker.model.state_dict().items()}
    scores = scores_of(trained.reranker, "train", first)

    def ranking(reranker):
        values = scores_of(reranker, "dev", first)["score"].to_numpy()
        return build_ranking(candidates("dev"), values, sum(KINDS.values()))

    before = ranking(trained.reranker)

    @cache
    def second(group_size):
        mining = {"group_size": group_size, "sampler": "top"}
        settings = config(epochs=EPOCHS[group_size], learning_rate=6e-4, **mining)
        loaded = load_reranker(folder)
        loaded.model.load_state_dict(weights)
        table = mined(scores, settings, 2)
        return ranking(train(loaded, table, source(), settings, round_number=2).reranker)

    return before, second


def diagnosed(rounds, group_size):
    before, second = rounds
    judgements = EvaluationTables.judgements(positives("dev"))
    found = diagnose(second(group_size), judgements, before=before)
    numbers = {row["name"]: row["value"] for row in found.summary.to_pylist()}
    return {alarm.name for alarm in found.alarms}, numbers


def test_all_candidates_at_once_fire_the_alarm_and_no_other(rounds):
    fired, numbers = diagnosed(rounds, MANY)
    assert fired == {"over-conservative"}
    assert numbers["mean_negative"] < numbers["mean_positive"]


def test_the_hardest_few_learn_more_from_as_many_pairs_and_fire_none(rounds):
    fired, numbers = diagnosed(rounds, FEW)
    assert fired == set()
    assert numbers["gain"] > 0.05


def test_what_the_alarm_asks_for_does_act(rounds):
    sizes = {}
    for group_size in (FEW, MANY):
        _, numbers = diagnosed(rounds, group_size)
        seen = Evidence(2, 0.0, numbers["gain"], numbers["gap_before"], numbers["gap"])
        mining = Mining(feedback=True, group_size=group_size)
        sizes[group_size] = fed_back(mining, [seen]).mean
    assert sizes == {FEW: FEW, MANY: 23}
