"""`strop champion`: what production uses, how it became that, and the way back and out."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from strop.artifacts import refs
from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.refs import Ref
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.cli.options import STORE, JsonOption, StoreOption, existing_store
from strop.cli.output import console, print_json
from strop.cli.results import NAMES, reason_of, relative

champion_app = typer.Typer(
    help="Look at the champion, move it back, export it.", no_args_is_help=True
)

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="A run's or champion's name, or a config file; if one, none needed."
    ),
]


@champion_app.command()
def show(name: NameArgument = None, store: StoreOption = STORE, json: JsonOption = False) -> None:
    """Show the champion: round, ranking, fusion weight, model folder and why."""
    opened = existing_store(store)
    told = _told(opened, refs.read(opened, champion_name(opened, name)))
    if json:
        print_json(told)
        return
    out = console()
    out.print(told["name"], style="bold", end="")
    out.print(f"  champion {told['champion']}, move {told['generation']}")
    out.print(f"since    {told['moved']}")
    when = f"round {told['round']}" if told["round"] else "before its rounds"
    out.print(f"run      {told['run']}, {when}")
    out.print(f"ranking  {_ranking(told)}")
    out.print(f"model    {relative(told['model']) if told['model'] else 'none'}", soft_wrap=True)
    out.print(f"decided  {told['reason']}")


@champion_app.command()
def history(
    name: NameArgument = None, store: StoreOption = STORE, json: JsonOption = False
) -> None:
    """List every move of the champion, oldest first, with its reason."""
    opened = existing_store(store)
    champion = champion_name(opened, name)
    moves = [_told(opened, ref) for ref in refs.history(opened, champion)]
    if json:
        print_json(moves)
        return
    table = Table(title=f"champion {champion}", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("move", justify="right")
    for title in ("moved", "to", "ranking"):
        table.add_column(title, no_wrap=title == "moved")
    table.add_column("reason", overflow="fold")
    for told in moves:
        cells = (told["moved"], told["name"], _ranking(told), told["reason"])
        table.add_row(str(told["generation"]), *cells)
    console().print(table)


@champion_app.command()
def rollback(
    name: NameArgument = None,
    store: StoreOption = STORE,
    to: Annotated[
        int | None,
        typer.Option(min=1, help="The move whose value to restore; else the one before."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make the champion before this one champion again."""
    opened = existing_store(store)
    champion = champion_name(opened, name)
    before = refs.read(opened, champion)
    told = _told(opened, refs.roll_back(opened, champion, to=to))
    if json:
        print_json(told)
        return
    old = (before.value or {}).get("name")
    print(f"champion {champion}: {old} → {told['name']} (move {told['generation']})")
    print(f"model    {relative(told['model']) if told['model'] else 'none'}")


@champion_app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not hold anything.")],
    name: NameArgument = None,
    store: StoreOption = STORE,
    json: JsonOption = False,
) -> None:
    """Copy the champion's model, fusion weight and calibration into a folder of its own."""
    from strop.cli.export import export_model

    opened = existing_store(store)
    told = _told(opened, refs.read(opened, champion_name(opened, name)))
    calibration = export_model(opened, told, folder)
    if json:
        print_json({**told, "folder": str(folder.absolute()), "calibration": calibration})
        return
    beside = f", calibration {calibration}" if calibration else ""
    print(f"{told['name']} → {folder}  (fusion weight {told['weight']:g}{beside})")


def champion_name(store: Store, name: str | None) -> str:
    """The champion that a name, a run's name or a config file speaks of; raises `NotFound`."""
    known = refs.names(store)
    if name is None:
        if len(known) == 1:
            return known[0]
        if known:
            raise NotFound(f"there are several champions; name one of {', '.join(known)}")
        raise NotFound(f"there is no champion in the store {store.location}; `strop run` decides")
    asked = _of_config(Path(name)) if Path(name).is_file() else _of_run(store, name)
    if asked not in known:
        there = f"the champions are {', '.join(known)}" if known else "`strop run` decides"
        raise NotFound(f"champion {asked!r}: not in the store {store.location}; {there}")
    return asked


def _of_config(path: Path) -> str:
    from strop.cli.config_file import load_config  # with pydantic, which `strop --help` needs not

    return load_config(path).champion


def _of_run(store: Store, name: str) -> str:
    """The champion's name that a run was started with, or the name itself."""
    if not refs.NAME.fullmatch(name) or name in refs.names(store):
        return name
    try:
        config = Run(store, name).config
    except NotFound:
        return name
    return str(config["decision"]["champion"] or name)


def _told(store: Store, ref: Ref) -> dict[str, Any]:
    """A move of the champion as a person or a script wants to know it."""
    value = ref.value or {}
    keys = ("name", "run", "round", "ranking", "weight", "reranker", "decision", "moved")
    reranker = value.get("reranker")
    return {
        "champion": ref.name,
        "generation": ref.generation,
        **{key: value.get(key) for key in keys},
        "restored": value.get("restored"),
        "note": value.get("approved") or None,
        "model": str(store.place(ArtifactRef(**reranker))) if reranker else None,
        "reason": reason_of(store, value),
    }


def _ranking(told: dict[str, Any]) -> str:
    if told["ranking"] == "first_stage":
        return "first stage alone"
    return f"{NAMES[told['ranking']]}, weight {told['weight']:g}"
