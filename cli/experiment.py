"""`strop experiment`: presets and other changes beside each other at an equal number of pairs."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.cli.config_file import load_config
from strop.cli.output import console, print_json
from strop.cli.running import prefect_server, shown
from strop.cli.settings import changed, read_setting
from strop.flows.at_hand import check_at_hand
from strop.flows.run_names import arm_name
from strop.pipeline.config import CHANGES
from strop.pipeline.errors import InputError, counted

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,50}")
BETWEEN_SETTINGS = re.compile(r"\s+(?=[\w.]+=)")
"""White space before the next key: that within a value, as in ``[{name: circle}]``, is not."""
Rows = list[dict[str, Any]]
RANKINGS = {"reranker": "alone", "fused": "fused"}


def run_experiment(
    path: Path,
    store: str,
    presets: Iterable[str],
    others: Iterable[str],
    *,
    outside: Iterable[str],
    opponent: str | None,
    split: Literal["dev", "test"],
    seeds: int,
    pairs: int | None,
    json: bool,
) -> None:
    """Run the arms and show how they did."""
    config = load_config(path)
    read = [read_arm(text) for text in others]
    arms = {name: CHANGES[name] for name in presets} | dict(read)
    _check_arms([*presets, *(name for name, _ in read)], arms, pairs)
    if not arms:
        arms = dict(CHANGES)
    configs = [changed(config, values, f"--arm {name}") for name, values in arms.items()]
    others_by_name = dict(read_outside(text) for text in outside)
    _check_names(arms, others_by_name, opponent)
    for name in arms:
        arm_name(config.name, name, config.seed + seeds - 1)
    for arm in configs:
        check_at_hand(arm)
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.experiment import experiment

        made = shown(
            out,
            lambda: experiment(
                config, arms, seeds, pairs, others_by_name, opponent, split, opened.location
            ),
        )
    show_comparison(opened, made, json=json)


def _check_arms(names: list[str], arms: Mapping[str, Mapping[str, Any]], pairs: int | None) -> None:
    """Raise `InputError` for a name given twice, and for a value that the experiment sets."""
    if twice := [name for name in arms if names.count(name) > 1]:
        raise InputError(f"--arm {twice[0]}: is the name of two arms, expected one of its own")
    ours = {"seed": "--seeds", "training.pairs_per_round": "--pairs" if pairs else ""}
    for name, values in arms.items():
        for key in values:
            if ours.get(key):
                raise InputError(f"--arm {name}: {key} is what {ours[key]} sets; leave one out")


def read_arm(text: str) -> tuple[str, dict[str, Any]]:
    """An arm as ``NAME: KEY=VALUE KEY=VALUE``; raises `InputError` for anything else."""
    name, colon, settings = text.partition(":")
    name = name.strip()
    if not colon or not NAME.fullmatch(name):
        raise InputError(
            f"--arm {text!r}: expected NAME: KEY=VALUE …, such as "
            "'no-guard: mining.guard.rule=none', the name in lower-case letters, digits and dashes"
        )
    parts = BETWEEN_SETTINGS.split(settings.strip()) if settings.strip() else []
    return name, dict(read_setting(part, "--arm") for part in parts)


def read_outside(text: str) -> tuple[str, str]:
    """A reranker from outside as ``NAME: FOLDER``; raises `InputError` for anything else."""
    name, colon, folder = text.partition(":")
    name, folder = name.strip(), folder.strip()
    if not colon or not NAME.fullmatch(name) or not folder:
        raise InputError(
            f"--outside {text!r}: expected NAME: FOLDER, such as 'theirs: models/seed-{{seed}}', "
            "the name in lower-case letters, digits and dashes"
        )
    return name, folder


def _check_names(arms: Mapping[str, Any], outside: Mapping[str, str], opponent: str | None) -> None:
    twice = sorted(set(arms) & set(outside))
    if twice:
        raise InputError(f"--outside {twice[0]!r}: is the name of an arm, expected another")
    names = [*arms, *outside]
    if opponent is not None and opponent not in names:
        raise InputError(f"--opponent {opponent!r}: expected one of {', '.join(names)}")


def show_comparison(store: Store, made: ArtifactRef, *, json: bool) -> None:
    """A comparison as two tables, or as JSON."""
    arms = store.table(made, "arms").to_pylist()
    differences = store.table(made, "differences").to_pylist()
    if json:
        print_json({"comparison": made.id, "arms": arms, "differences": differences})
        return
    out = console()
    metric = differences[0]["metric"]
    out.print()
    out.print(rounds_grid([row for row in arms if row["metric"] == metric]))
    out.print(differences_grid(differences))
    out.print(f"comparison  {made.id}  (strop artifacts show {made.id})")


def rounds_grid(rows: Rows) -> Table:
    """One line an arm: what it cost, and every round's mean over the seeds on dev."""
    metric, split = rows[0]["metric"], rows[0]["split"]
    table = Table(
        title=f"{metric} on {split} by round, mean over seeds",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    numbers = sorted({row["round"] for row in rows if row["round"]})
    for name in ("pairs trained", "pairs scored"):
        table.add_column(name, justify="right")
    for title in RANKINGS.values():
        for number in numbers:
            table.add_column(f"{title} {number}", justify="right")
    for arm in dict.fromkeys(row["arm"] for row in rows if row["round"]):
        ours = [row for row in rows if row["arm"] == arm and row["split"] == split]
        ended = max(row["round"] for row in ours)
        last = [row for row in ours if row["round"] == ended]
        costs = [_cost(last, name) for name in ("trained_pairs", "scored_pairs")]
        # A reranker from outside has one round, which stands below the others' last ones.
        of = {numbers[-1]: ended} if last[0]["trained_pairs"] is None else {n: n for n in numbers}
        values = [
            _value([r for r in ours if (r["ranking"], r["round"]) == (ranking, of.get(number))])
            for ranking in RANKINGS
            for number in numbers
        ]
        table.add_row(arm, *costs, *values)
    return table


def differences_grid(rows: Rows) -> Table:
    """One line an arm and ranking: the final round, its spread, the change against the control."""
    first = rows[0]
    queries = counted(first["n"], f"{first['split']} queries")
    seeds = counted(first["num_seeds"], "seeds")
    table = Table(
        title=f"{first['metric']} of the last accepted round: {queries}, {seeds}",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    for name in ("value", "± seeds", f"Δ to {first['opponent']}", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        change, p_value = "", ""
        if row["difference"] is not None:
            change = f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
            p_value = "< 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}"
        spread = "" if row["spread"] is None else f"{row['spread']:.3f}"
        ranking = RANKINGS.get(row["ranking"])
        name = f"{row['arm']}, {ranking}" if ranking else row["arm"]
        table.add_row(name, f"{row['value']:.3f}", spread, change, p_value)
    return table


def _cost(rows: Rows, key: str) -> str:
    return "" if rows[0][key] is None else f"{_mean(rows, key):,.0f}"


def _value(rows: Rows) -> str:
    return f"{_mean(rows, 'value'):.3f}" if rows else ""


def _mean(rows: Rows, key: str) -> float:
    return float(np.mean([row[key] for row in rows]))
