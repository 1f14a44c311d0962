"""Experiment: presets and other changes as branches of one run, at an equal number of pairs."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import last_accepted, made_by
from strop.flows.assess import final_metrics, has_test
from strop.flows.location import Location
from strop.flows.measured import is_fresh
from strop.flows.outside import find_reranker, measure_reranker, without_code
from strop.flows.prepare import import_dataset, in_store, prepare
from strop.flows.round import one_round
from strop.flows.run_names import arm_name
from strop.flows.session import PREPARE, Refs, Session, hold, round_part
from strop.flows.watched import announce
from strop.pipeline.config import CHANGES, Config, with_values
from strop.pipeline.errors import InputError
from strop.tasks.compare import ArmRefs, compare_arms
from strop.tasks.stage import Place, call

CONTROL = "no-remine"
SCORES = ("scores_", "teacher_scores", "earlier_scores")
UNTUNED = "untuned base"
Arms = Mapping[str, Mapping[str, Any]]
Outside = Mapping[str, str]
Split = Literal["dev", "test"]
Seeds = Annotated[int, Field(ge=1, le=100)]
Pairs = Annotated[int, Field(ge=2)]


@flow(name="experiment", flow_run_name="experiment {config.name}")
def experiment(
    config: Config,
    arms: Arms = CHANGES,
    seeds: Seeds = 3,
    pairs: Pairs | None = None,
    outside: Outside | None = None,
    opponent: str | None = None,
    split: Split = "test",
    store: Location = ".strop",
) -> ArtifactRef:
    """Run every arm at every seed, and hold their final rounds against the opponent's.

    Arms are a name and the values by key path that make it another config. ``pairs`` are trained by
    each arm in all its rounds together; without it each trains what the config says. Arms are runs
    of their own that promote nothing; what they share is made once. Rounds are measured on dev;
    test is read once an arm, for its last accepted round, and not at all where ``split`` is dev.
    ``outside`` are rerankers that somebody else trained, a folder or name each, in which ``{seed}``
    is the seed; they are measured on the same candidates. The opponent is `no-remine` unless given,
    or the first arm where there is no such one.
    """
    place = Place(store, config.name, "experiment")
    base = with_values(config, in_store(import_dataset(place, config)))
    branches = {
        seed: {
            name: branch(base, name, values, seed=seed, pairs=pairs)
            for name, values in arms.items()
        }
        for seed in range(config.seed, config.seed + seeds)
    }
    rerankers = _found(place, branches, outside or {})
    made: list[ArmRefs] = []
    for seed, by_name in branches.items():
        first = next(iter(by_name.values()))
        for name, branched in by_name.items():
            announce(f"{name}, seed {seed}")
            made.append(_arm(branched, name, split, store))
        made += _untuned(first, split, store)
        for name in outside or {}:
            announce(f"{name}, seed {seed}")
            made.append(_outside(first, name, rerankers[name, seed], split, store))
    chosen = opponent or (CONTROL if CONTROL in arms else next(iter(arms)))
    comparison: ArtifactRef = call(compare_arms, place, made, config, chosen)
    return comparison


def branch(
    config: Config, arm: str, values: Mapping[str, Any], *, seed: int, pairs: int | None
) -> Config:
    """The config of one arm; raises `InputError` for too few pairs or too long a name."""
    name = arm_name(config.name, arm, seed)
    changes = {
        "name": name,
        "seed": seed,
        "decision.champion": name,
        "decision.guard_sets": [],
        "decision.patience": None,
    }
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


def _arm(config: Config, name: str, split: Split, store: Location) -> ArmRefs:
    """Run one arm's rounds, and measure the last accepted one."""
    with hold(config, store) as session:
        prepare(config, store)
        for number in range(1, config.rounds + 1):
            one_round(config, number, store)
        final = last_accepted(session, config.rounds + 1)
        return _refs(session, name, final, _measured(session, final, split))


def _untuned(config: Config, split: Split, store: Location) -> list[ArmRefs]:
    """What an arm starts from, where that is more than the first stage."""
    with hold(config, store) as session:
        if is_fresh(session, session.part(PREPARE)["reranker"]):
            return []
        metrics = _measured(session, 0, split)
        dev = session.part(PREPARE)["metrics_dev"]
    return [ArmRefs(UNTUNED, config.seed, 0, metrics, {0: dev}, {}, {})]


def _measured(session: Session, number: int, split: Split) -> ArtifactRef:
    made = made_by(session, number)
    return made["metrics_dev"] if split == "dev" else final_metrics(session, made)


def _found(
    place: Place, branches: Mapping[int, Mapping[str, Config]], outside: Outside
) -> dict[tuple[str, int], ArtifactRef]:
    """The rerankers from outside by name and seed: one that is not there must cost no training."""
    found = {}
    for seed, by_name in branches.items():
        untrusted = without_code(next(iter(by_name.values())))
        for name, folder in outside.items():
            at = replace(place, part=f"outside · {name}")
            named = folder.replace("{seed}", str(seed))
            found[name, seed] = find_reranker(at, untrusted, named, "--outside")
    return found


def _outside(
    config: Config, name: str, reranker: ArtifactRef, split: Split, store: Location
) -> ArmRefs:
    """A reranker from outside, measured on an arm's candidates; it has one round."""
    with hold(config, store) as session:
        place, shared = session.place(f"outside · {name}"), session.part(PREPARE)
        measure = partial(measure_reranker, place, without_code(config), shared, reranker)
        dev = measure(split="dev")
        final = measure(split="test") if split == "test" and has_test(session) else dev
    return ArmRefs(name, config.seed, 1, final, {1: dev}, {}, {})


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
