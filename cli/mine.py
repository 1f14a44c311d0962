"""`strop mine`: another choice of a round's negatives, from the scores that the run has."""

from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.artifacts.tables import iterate_batches
from strop.cli.config_file import load_config
from strop.cli.options import existing_store
from strop.cli.output import console, print_json
from strop.cli.running import prefect_server, shown
from strop.cli.settings import changed, read_setting
from strop.flows.recorded import config_of_run
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError, counted

NEED_SCORES = (
    "miner",
    "cross_fit",
    "folds",
    "queries_per_round",
    "pool_size",
    "min_rank",
    "more_pools",
    "teacher",
    "guard.judges",
)
"""Keys of `mining` that ask for scores which the round may not have."""
MARGIN = "mining.guard.margin"
EXAMPLES = 6
FIRST_STAGE = "first_stage"


def run_mine(
    run: str,
    number: int,
    store: str,
    *,
    margin: float | None,
    settings: list[str],
    json: bool,
) -> None:
    """Select again and show what changes."""
    opened = existing_store(store)
    config = config_of(opened, run)
    other = with_settings(config, settings, margin=margin)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.mine import mine, recorded_selection

        recorded_selection(opened, config, number)
        changes, negatives = shown(out, lambda: mine(config, other, number, opened.location))
    _show(opened, changes, negatives, out, json=json)
    alone = other.mining.guard.judges == ("mining",)
    if margin is not None and alone and _mined_by(opened, changes) == FIRST_STAGE:
        out.print(
            f"Round {number} was mined by the first stage, which guard.margin does not read: "
            "--set guard.first_stage_margin=VALUE, in its own scores."
        )


def _mined_by(store: Store, changes: ArtifactRef) -> str:
    """Whose scores mined the round: `first_stage`, `reranker` or `fused`."""
    selection = store.manifest(changes).inputs["before"]
    return str(store.manifest(selection).summary["mined_by"])


def config_of(store: Store, run: str) -> Config:
    """The config that a run was started with; ``run`` is its name or a config file with it."""
    return config_of_run(store, load_config(Path(run)).name if Path(run).is_file() else run)


def with_settings(config: Config, settings: list[str], *, margin: float | None = None) -> Config:
    """The config with ``KEY=VALUE`` settings of its ``mining`` section, values as in YAML.

    Raises `InputError` for what is no setting, for an unknown key or a wrong value, and for a key
    that would need scores that the round does not have.
    """
    values: dict[str, Any] = {} if margin is None else {MARGIN: margin}
    for setting in settings:
        key, value = read_setting(setting, "--set")
        key = key.removeprefix("mining.")
        if any(key == name or key.startswith(f"{name}.") for name in NEED_SCORES):
            raise _needs_scores(repr(setting), key)
        values[f"mining.{key}"] = value
    own = {} if margin is None else {MARGIN: f"--margin {margin:g}"}
    other = changed(config, values, "--set", own)
    for name in NEED_SCORES:  # a whole section, such as guard={…}, may hold one
        if attrgetter(name)(other.mining) != attrgetter(name)(config.mining):
            raise _needs_scores(", ".join(map(repr, settings)), name)
    return other


def _needs_scores(setting: str, key: str) -> InputError:
    return InputError(
        f"--set {setting}: mining.{key} needs other scores than the round has; change it in the "
        "config and run that under another name"
    )


def _show(
    store: Store, made: ArtifactRef, negatives: ArtifactRef, out: Console, *, json: bool
) -> None:
    manifest = store.manifest(made)
    facts, moved = manifest.summary, store.table(made, "changes")
    if json:
        print_json(
            {"changes": made.id, "negatives": negatives.id, **facts, "rows": moved.to_pylist()}
        )
        return
    out.print()
    out.print(_counts(facts["before"], facts["after"]))
    kept, rows = facts["kept_negatives"], counted(facts["moved"], "rows")
    move = "moves" if facts["moved"] == 1 else "move"
    out.print(f"{rows} {move}; {kept:.1%} of the negatives stay.")
    if moved.num_rows:
        out.print(_examples(store, manifest.inputs["before"], moved.slice(0, EXAMPLES)))
    selection = manifest.inputs["after"].id
    out.print(f"selection  {selection}  (strop artifacts show {selection})")
    out.print(f"changes    {made.id}  (strop artifacts show {made.id})")
    out.print(
        f"negatives  {negatives.id}  (strop export negatives {negatives.id} --format …)",
        soft_wrap=True,
    )


def _counts(before: dict[str, int], after: dict[str, int]) -> Table:
    table = Table(title="rows by decision", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("decision: rule", no_wrap=True)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    for label in sorted(before.keys() | after.keys()):
        old, new = before.get(label, 0), after.get(label, 0)
        table.add_row(label, f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else "")
    return table


def _examples(store: Store, selection: ArtifactRef, moved: Any) -> Table:
    """The first rows that move, with their texts."""
    dataset = store.manifest(selection).inputs["dataset"]
    queries = store.table(dataset, "queries")
    queries = queries.filter(pc.is_in(queries["query_id"], value_set=pc.unique(moved["query_id"])))
    query_texts = dict(
        zip(queries["query_id"].to_pylist(), queries["text"].to_pylist(), strict=True)
    )
    passage_texts: dict[str, str] = {}
    for batch in iterate_batches(store.file(dataset, "corpus.parquet")):
        wanted = batch.filter(
            pc.is_in(batch["passage_id"], value_set=pc.unique(moved["passage_id"]))
        )
        passage_texts |= dict(
            zip(wanted["passage_id"].to_pylist(), wanted["text"].to_pylist(), strict=True)
        )
    table = Table(title="the first that move", title_justify="left", box=SIMPLE_HEAD)
    for name in ("query", "passage", "score", "before", "after"):
        table.add_column(name, justify="right" if name == "score" else "left")
    for row in moved.to_pylist():
        score = "" if row["mining_score"] is None else f"{row['mining_score']:.2f}"
        texts = (query_texts[row["query_id"]], passage_texts[row["passage_id"]])
        table.add_row(*map(_short, texts), score, row["before"], row["after"])
    return table


def _short(text: str) -> str:
    return text if len(text) <= 48 else f"{text[:47]}…"
