"""The commands that carry out rounds, and those that look into what they mined and measured."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from strop.cli.options import STORE, ConfigArgument, JsonOption, ProfileOption, StoreOption

PRESET_HELP = "Who mines the rounds and what they start from, in place of the config's values."


class ComparedSplit(StrEnum):
    """Splits that an experiment's last rounds are compared on."""

    dev = "dev"
    test = "test"


class PresetName(StrEnum):
    """The presets of `strop.pipeline.config`, which would load slowly."""

    STATIC = "static"
    NO_REMINE = "no-remine"
    FRESH_START = "fresh-start"
    SELF = "self"
    CROSS_FIT = "cross-fit"


def run(
    config: ConfigArgument,
    store: StoreOption = STORE,
    preset: Annotated[PresetName | None, typer.Option(help=PRESET_HELP, show_default=False)] = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Run all rounds of a config, or resume them, and promote the last if it is better."""
    from strop.cli.runs import run_improve

    run_improve(config, store, preset=preset, json=json, profile=profile)


def plan(
    config: ConfigArgument,
    store: StoreOption = STORE,
    devices: Annotated[
        int | None,
        typer.Option(help="Devices that share out training; the config's processes by default."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure unit costs anew, e.g. on an idle machine.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say what time, memory and disk a run will take, stage by stage, before it starts."""
    from strop.cli.plan import run_plan

    run_plan(config, store, devices=devices, again=again, json=json)


def experiment(
    config: ConfigArgument,
    store: StoreOption = STORE,
    preset: Annotated[
        list[PresetName] | None, typer.Option(help="A preset as an arm; all when no arm is given.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: KEY=VALUE …'", help="The config with other values, as one more arm."
        ),
    ] = None,
    outside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: FOLDER'",
            help="A reranker trained elsewhere, on the same candidates; {seed} is the seed.",
        ),
    ] = None,
    opponent: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the arms are held against.")
    ] = None,
    split: Annotated[
        ComparedSplit, typer.Option(help="dev leaves test unread, for choices between arms.")
    ] = ComparedSplit.test,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds from the config's on.")] = 3,
    pairs: Annotated[
        int | None, typer.Option(min=2, help="Pairs that each arm trains in all its rounds.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run several arms at an equal number of trained pairs, and compare them."""
    from strop.cli.experiment import run_experiment

    run_experiment(
        config,
        store,
        preset or (),
        arm or (),
        outside=outside or (),
        opponent=opponent,
        split=split.value,
        seeds=seeds,
        pairs=pairs,
        json=json,
    )


def round_(
    config: ConfigArgument,
    number: Annotated[int, typer.Option("--round", min=1, help="Which round to run.")],
    store: StoreOption = STORE,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Repeat it beside the run, as RUN.NAME.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value on the branch."),
    ] = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Run one round by hand; the rounds before it must exist."""
    from strop.cli.runs import OnBranch, run_round

    on = OnBranch(branch, settings or ())
    run_round(config, number, store, on, json=json, profile=profile)


def mine(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its config file.")],
    number: Annotated[int, typer.Option("--round", min=1, help="Which round to mine again.")],
    store: StoreOption = STORE,
    margin: Annotated[
        float | None, typer.Option(help="Another guard.margin, in logits.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value of a `mining` key."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Choose a round's negatives in another way, without scoring anew, and show what changes."""
    from strop.cli.mine import run_mine

    run_mine(name, number, store, margin=margin, settings=settings or [], json=json)


def review(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its config file.")],
    store: StoreOption = STORE,
    number: Annotated[
        int | None, typer.Option("--round", min=1, help="Whose suspects; the last mined round's.")
    ] = None,
    read: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take verdicts of a file.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write a .csv or .jsonl.")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Keep the verdicts for the rounds to come.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The page's; 0 is any.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    json: JsonOption = False,
) -> None:
    """Judge suspects on a local page, or by a file; the next round takes the verdicts as labels."""
    from strop.cli.review.command import Wishes, run_review

    run_review(name, store, number, Wishes(read, write, finish, port, browser), json=json)


def assess(config: ConfigArgument, store: StoreOption = STORE, json: JsonOption = False) -> None:
    """Measure all finished rounds of a run on test, and write the report."""
    from strop.cli.runs import run_assess

    run_assess(config, store, json=json)


def add_round_commands(app: typer.Typer) -> None:
    """Offer them under the app."""
    app.command()(run)
    app.command()(plan)
    app.command()(experiment)
    app.command(name="round")(round_)
    app.command()(mine)
    app.command()(review)
    app.command()(assess)
