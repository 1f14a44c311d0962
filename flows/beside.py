"""Which metrics are compared: those of rounds of any runs, and of rankings from outside."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from strop.artifacts.errors import NotFound
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.words import as_yaml
from strop.flows.outside import measure_outside
from strop.flows.recorded import with_defaults
from strop.flows.session import ASSESS, PREPARE, Refs, round_part
from strop.pipeline.config import Config, with_values
from strop.pipeline.errors import InputError
from strop.tasks.beside import draw_beside, put_beside
from strop.tasks.decide import verdict

__all__ = ["compare_rounds", "draw_beside", "metrics_by_split"]

SPLITS = ("test", "dev")
"""In the order in which a split is taken when none is asked for."""
FIRST_STAGE = ("bi_encoder", "first_stage")
"""The sections of a config that decide which candidates there are."""
Side = tuple[Run, int]
"""A run and one of its rounds; 0 is the untuned base."""


def compare_rounds(
    store: Store,
    names: Sequence[str],
    *,
    split: str | None,
    metric: str | None,
    rerankers: Sequence[str] = (),
    run_files: Sequence[Path] = (),
) -> list[dict[str, Any]]:
    """Rows of the named rounds, ``run`` or ``run:2``, each against the first.

    Outside rerankers and run files come after them, on the first round's candidates and at its
    depth. Raises `NotFound` for what the store lacks, and `InputError` for rounds of different data
    sets, candidates or depths, or without a split in common.
    """
    sides = [_read(store, name) for name in names]
    titles = [f"{run.name}:{number}" for run, number in sides]
    outside = [*rerankers, *map(str, run_files)]
    _require_several(titles + outside)
    _require_one_data_set(sides)
    _require_same_candidates(sides)
    found = {
        title: metrics_by_split(run, number)
        for title, (run, number) in zip(titles, sides, strict=True)
    }
    chosen = _split(found, split)
    metrics = {title: refs[chosen] for title, refs in found.items()}
    depth = _depth(store, metrics)
    config = sides[0][0].config
    if outside:
        own = with_values(Config.recorded(config), {"evaluation.depth": depth})
        measured = measure_outside(own, rerankers, run_files, chosen, store.location)
        metrics |= dict(zip(outside, measured, strict=True))
    return put_beside(
        store,
        metrics,
        split=chosen,
        metric=metric,
        seed=config["seed"],
        samples=config["evaluation"]["bootstrap_samples"],
    )


def _require_several(titles: Sequence[str]) -> None:
    if len(set(titles)) < max(len(titles), 2):
        raise InputError(f"compare {' '.join(titles)}: name at least two, each once")


def metrics_by_split(run: Run, number: int) -> Refs:
    """The metrics that a run has of one of its rounds, by split."""
    parts = run.parts()
    part = round_part(number) if number else PREPARE
    found = {}
    if ref := parts.get(part, {}).get("metrics_dev"):
        found["dev"] = ref
    if ref := parts.get(ASSESS, {}).get(f"metrics_test_{number}"):
        found["test"] = ref
    return found


def _read(store: Store, text: str) -> Side:
    """The round that ``run:2`` names, or the last accepted one of ``run``."""
    name, colon, number = text.partition(":")
    run = Run(store, name)
    parts = run.parts() if run.config else {}
    if colon and not re.fullmatch(r"[0-9]{1,3}", number):
        raise InputError(f"{text!r}: expected RUN or RUN:ROUND, such as {name}:2")
    done = sorted(int(part[-3:]) for part, made in parts.items() if _is_judged(part, made))
    chosen = int(number) if colon else _last_accepted(store, parts, done)
    if chosen and chosen not in done:
        there = f"finished are {', '.join(map(str, done))}" if done else "none is finished"
        raise NotFound(f"run {name}: has no round {chosen}; {there}")
    return run, chosen


def _is_judged(part: str, made: Refs) -> bool:
    return part.startswith("round-") and "decision" in made


def _last_accepted(store: Store, parts: Mapping[str, Refs], done: list[int]) -> int:
    decisions = {number: parts[round_part(number)]["decision"] for number in done}
    accepted = [n for n, made in decisions.items() if verdict(store, made)[0] == "accepted"]
    return max(accepted, default=0)


def _require_one_data_set(sides: Sequence[Side]) -> None:
    first = sides[0][0]
    for run, _ in sides[1:]:
        if run.config["dataset"] != first.config["dataset"]:
            raise InputError(
                f"run {run.name}: was measured on {run.config['dataset']}, run {first.name} on "
                f"{first.config['dataset']}; compare runs of one version of a data set"
            )


def _require_same_candidates(sides: Sequence[Side]) -> None:
    """Raise `InputError` where another first stage would pass for a better or worse reranker."""
    (first, first_number), *others = sides
    ours = first.parts().get(PREPARE, {}).get("candidates")
    for run, number in others:
        theirs = run.parts().get(PREPARE, {}).get("candidates")
        if ours is None or theirs is None or ours.id == theirs.id:
            continue  # a round of a run without candidates has no metrics either
        key = _first_stage_key(first, run)
        raise InputError(
            f"{run.name}:{number}: reranked candidates {theirs.id}{_said(run, key)}, "
            f"{first.name}:{first_number} candidates {ours.id}{_said(first, key)}; compare rounds "
            "that reranked the same ones"
        )


def _first_stage_key(one: Run, other: Run) -> tuple[str, str] | None:
    """The section and key of the first stage by which two runs retrieve differently."""
    for section in FIRST_STAGE:
        left, right = (with_defaults(run.config).get(section, {}) for run in (one, other))
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                return section, key
    return None


def _said(run: Run, key: tuple[str, str] | None) -> str:
    if key is None:
        return ""
    section, name = key
    return f" ({section}.{name} = {as_yaml(with_defaults(run.config)[section].get(name))})"


def _depth(store: Store, metrics: Refs) -> int:
    """How many candidates all were measured on; raises `InputError` where that is not one number.

    The metrics know: a branch may say another depth than that of the rounds it shares.
    """
    depths = {name: int(store.manifest(ref).parameters["depth"]) for name, ref in metrics.items()}
    first, *others = depths
    for name in others:
        if depths[name] != depths[first]:
            raise InputError(
                f"{name}: was measured with evaluation.depth = {depths[name]}, {first} with "
                f"{depths[first]}; compare rounds whose rerankers saw equally many candidates"
            )
    return depths[first]


def _split(found: Mapping[str, Refs], asked: str | None) -> str:
    """The split that all were measured on; raises `InputError` saying what measures the others."""
    if asked is not None and asked not in SPLITS:
        raise InputError(f"--split {asked}: expected {' or '.join(SPLITS)}")
    common = [name for name in SPLITS if all(name in refs for refs in found.values())]
    if common and asked in (None, *common):
        return asked or common[0]
    wanted = asked or "dev"
    lacking = {title: refs for title, refs in found.items() if wanted not in refs}
    title, refs = next(iter(lacking.items()))
    run = title.partition(":")[0]
    way = "assess" if wanted == "test" and refs else "run"
    raise InputError(
        f"{', '.join(lacking)}: not measured on {wanted} yet; `strop {way} CONFIG` with the config "
        f"of run {run} does it"
    )
