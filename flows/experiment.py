"""Experiment: presets and other changes as branches of one run, at an equal number of pairs."""

from collections.abc import Mapping
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import last_accepted, made_by
from strop.flows.assess import final_metrics
from strop.flows.location import Location
from strop.flows.prepare import import_dataset, prepare
from strop.flows.round import one_round
from strop.flows.session import Refs, Session, hold, round_part
from strop.flows.watched import announce
from strop.pipeline.config import CHANGES, Config, with_values
from strop.pipeline.errors import InputError
from strop.tasks.compare import ArmRefs, compare_arms
from strop.tasks.stage import Place, call

CONTROL = "no-remine"
SCORES = ("scores_", "teacher_scores", "earlier_scores")
Arms = Mapping[str, Mapping[str, Any]]
Seeds = Annotated[int, Field(ge=1, le=100)]
Pairs = Annotated[int, Field(ge=2)]


@flow(name="experiment", flow_run_name="experiment {config.name}")
def experiment(
    config: Config,
    arms: Arms = CHANGES,
    seeds: Seeds = 3,
    pairs: Pairs | None = None,
    store: Location = ".strop",
) -> ArtifactRef:
    """Run every arm at every seed, and hold their final rounds against `no-remine`'s.

    Arms are a name and the values by key path that make it another config. ``pairs`` are trained by
    each arm in all its rounds together; without it each trains what the config says. Arms are runs
    of their own that promote nothing; what they share is made once. Rounds are measured on dev;
    test is read once an arm, for its last accepted round. Without an arm `no-remine` the first one
    is the opponent.
    """
    place = Place(store, config.name, "experiment")
    dataset = import_dataset(place, config)
    made = []
    for seed in range(config.seed, config.seed + seeds):
        for name, values in arms.items():
            announce(f"{name}, seed {seed}")
            branched = branch(config, name, values, seed=seed, pairs=pairs)
            made.append(_arm(with_values(branched, {"dataset": dataset.id}), name, store))
    opponent = CONTROL if CONTROL in arms else next(iter(arms))
    comparison: ArtifactRef = call(compare_arms, place, made, config, opponent)
    return comparison


def branch(
    config: Config, arm: str, values: Mapping[str, Any], *, seed: int, pairs: int | None
) -> Config:
    """The config of one arm; raises `InputError` for fewer pairs than rounds can share."""
    name = f"{config.name}.{arm}.seed-{seed}"
    changes = {"name": name, "seed": seed, "decision.champion": name, "decision.guard_sets": []}
    changed = with_values(config, {**values, **changes})
    if pairs is None:
        return changed
    each = pairs // changed.rounds
    if each < changed.mining.group_size:
        raise InputError(
            f"--pairs {pairs}: gives each of {changed.rounds} rounds {each} pairs, expected at "
            f"least one group of {changed.mining.group_size}"
        )
    return with_values(changed, {"training.pairs_per_round": each})


def _arm(config: Config, name: str, store: Location) -> ArmRefs:
    """Run one arm's rounds, and measure the last accepted one."""
    with hold(config, store) as session:
        prepare(config, store)
        for number in range(1, config.rounds + 1):
            one_round(config, number, store)
        final = last_accepted(session, config.rounds + 1)
        return _refs(session, name, final, final_metrics(session, made_by(session, final)))


def _refs(session: Session, name: str, final: int, metrics: ArtifactRef) -> ArmRefs:
    numbers = range(1, session.config.rounds + 1)
    parts = {number: session.part(round_part(number)) for number in numbers}
    return ArmRefs(
        name,
        session.config.seed,
        final,
        metrics,
        {number: made["metrics_dev"] for number, made in parts.items()},
        {number: _with_roles(made, "reranker") for number, made in parts.items()},
        {number: _with_roles(made, *SCORES) for number, made in parts.items()},
    )


def _with_roles(made: Refs, *stems: str) -> list[ArtifactRef]:
    return [ref for role, ref in sorted(made.items()) if role.startswith(stems)]
