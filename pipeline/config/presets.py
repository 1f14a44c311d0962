"""Presets: who mines a run's rounds, and what each round starts from."""

from collections.abc import Mapping
from typing import Any

from strop.pipeline.config.changes import with_values
from strop.pipeline.config.run import Config

CHANGES: Mapping[str, Mapping[str, Any]] = {
    "static": {
        "mining.miner": "first_stage",
        "mining.cross_fit": False,
        "training.start": "last_round",
    },
    "no-remine": {
        "mining.miner": "first_round",
        "mining.cross_fit": False,
        # A curriculum would draw other negatives in every round.
        "mining.curriculum.rounds": "none",
        "training.start": "last_round",
    },
    "fresh-start": {
        "mining.miner": "last_round",
        "mining.cross_fit": False,
        "training.start": "base",
        "training.schedule_over": "round",
    },
    "self": {
        "mining.miner": "last_round",
        "mining.cross_fit": False,
        "training.start": "last_round",
    },
    "cross-fit": {
        "mining.miner": "last_round",
        "mining.cross_fit": True,
        "training.start": "last_round",
    },
}
"""`static`: the first stage mines every round. `no-remine`: what mined round 1 mines every round,
and the same negatives are drawn. `fresh-start`: the last round's reranker mines, and training
starts from the base again. `self`: the last round's reranker mines and is trained on. `cross-fit`:
as `self`, but no query is mined by a reranker that was trained on it."""


def with_preset(config: Config, preset: str) -> Config:
    """The config with the preset's values in place of its own; everything else stays."""
    return with_values(config, CHANGES[preset])
