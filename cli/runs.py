"""`strop run`, `strop round` and `strop assess`: a config file, a flow, a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.cli.config_file import load_config
from strop.cli.options import existing_store, where
from strop.cli.output import console, print_json
from strop.cli.results import decision_told, relative, results_grid, run_results, verdict_sentence
from strop.cli.running import prefect_server, shown
from strop.cli.settings import changed, read_setting
from strop.flows.at_hand import check_at_hand, check_round
from strop.flows.run_names import branch_name, check_nights
from strop.pipeline.config import Config, with_preset
from strop.pipeline.errors import InputError


def run_improve(
    path: Path, store: str, *, preset: str | None, json: bool, profile: Path | None = None
) -> None:
    """Run all rounds of a config and show the results."""
    config = load_config(path)
    config = with_preset(config, preset) if preset else config
    check_at_hand(config)
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out) as server:
        from strop.flows.improve import improve

        reason = shown(out, lambda: improve(config, opened.location), profile=profile)
    show_results(config, opened, json=json, extra={"decision": reason, "ui": server.ui_url})


def run_nightly(path: Path, store: str, *, read_test: bool, json: bool) -> None:
    """Do what the nightly deployment does, once and now."""
    config = load_config(path)
    check_nights(config.name)
    check_at_hand(config)
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.nightly import UNCHANGED, nightly

        state = shown(out, lambda: nightly(config, opened.location, read_test, return_state=True))
        outcome = state.result()
    if json:
        print_json({"unchanged": state.name == UNCHANGED, "outcome": outcome})
    else:
        out.print(outcome)


AWAITS = "awaits approval"
"""What the reason of a decision says that waits for a person."""


@dataclass(frozen=True)
class OnBranch:
    """The branch that a round is repeated on, and the values that it changes there."""

    name: str | None
    settings: Sequence[str]

    def changes(self) -> dict[str, Any]:
        """The values by key path; raises `InputError`."""
        if self.settings and not self.name:
            raise InputError("--set: changes of a round need --branch NAME, which keeps the run")
        return dict(read_setting(text, "--set") for text in self.settings)


def run_round(
    path: Path,
    number: int,
    store: str,
    branch: OnBranch,
    *,
    json: bool,
    profile: Path | None = None,
) -> None:
    """Run one round and say whether it was accepted."""
    config = load_config(path)
    changes = branch.changes()
    name = config.name if branch.name is None else branch_name(config.name, branch.name)
    changed(config, changes, "--set")
    check_round(config, number)
    check_at_hand(config)
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.round import manual_round

        accepted = shown(
            out,
            lambda: manual_round(config, number, opened.location, branch.name, changes),
            profile=profile,
        )
    if json:
        print_json({"run": name, "round": number, "accepted": accepted})
        return
    out.print(f"round {number}: {'accepted' if accepted else 'rejected'}")
    if branch.name:
        out.print(f"next: {compared_with(opened, config.name, name, number, path)}")
    else:
        ways = [f"strop assess {path}{where(store)}"]
        if number < config.rounds:
            ways.insert(0, f"strop round {path} --round {number + 1}{where(store)}")
        out.print(f"next: {', or '.join(ways)}")


def compared_with(store: Store, run: str, branch: str, number: int, path: Path) -> str:
    """The commands that hold a branch's round against the run's own, which may not be made yet."""
    from strop.flows.session import round_part

    there = where(store.location)
    compare = f"strop compare {run}:{number} {branch}:{number}{there}"
    if "decision" in Run(store, run).parts().get(round_part(number), {}):
        return compare
    return f"strop round {path} --round {number}{there}, then {compare}"


def run_assess(path: Path, store: str, *, json: bool) -> None:
    """Measure all finished rounds on test and show the results.

    Of a config that only a schedule runs, those of its newest night.
    """
    config, opened = load_config(path), existing_store(store)
    out = console(stderr=json)
    with prefect_server(out) as server:
        from strop.flows.assess import assess
        from strop.flows.nights import config_or_night

        found = config_or_night(opened, config)
        shown(out, lambda: assess(found, opened.location))
    show_results(found, opened, json=json, extra={"ui": server.ui_url})


def show_results(config: Config, store: Store, *, json: bool, extra: dict[str, Any]) -> None:
    """The results of a run, as a table or as JSON."""
    results = run_results(store, config.name, config.champion) | extra
    if decision := results.get("decision"):
        results["decision"] = decision_told(store, config, decision)
    if json:
        print_json(results)
        return
    out = console()
    out.print()
    out.print(results_grid(results, out.width))
    out.print(verdict_sentence(results))
    if reason := results.get("decision"):
        out.print(reason, style="dim")
        if AWAITS in reason:
            print(f"next: strop promote {config.name}{where(relative(store.location))}")
    print()  # a path that the console folds is none to copy
    print(f"report      {relative(results['report'])}")
    if model := results["champion"]["model"]:
        print(f"champion    {relative(model)}")
    place = relative(store.location)
    print(f"artifacts   {place}  (strop artifacts ls{where(place)})")
    print(f"Prefect UI  {results['ui']}")
