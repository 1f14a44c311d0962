"""Options and arguments that several commands share, and the store that must be there."""

import os
from pathlib import Path
from typing import Annotated

import typer

from strop.artifacts.backends.location import store_path
from strop.artifacts.mark import MARK
from strop.artifacts.store import Store
from strop.cli.output import REFUSED, end_with_error, no_access

StoreOption = Annotated[
    str,
    typer.Option(
        envvar="STROP_STORE",
        help="The artifact store: a folder, or s3://bucket/prefix, gs://…, az://….",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        file_okay=False,
        help="Write where the time of each stage goes, and traces, here.",
    ),
]
ConfigArgument = Annotated[Path, typer.Argument(help="Config file, as `strop init` writes it.")]
STORE = ".strop"


def where(location: str) -> str:
    """What a command that is told to a person needs to find the store: nothing for the default."""
    usual = os.environ.get("STROP_STORE", STORE)
    same = location == usual or (
        "://" not in location + usual and Path(location).absolute() == Path(usual).absolute()
    )
    return "" if same else f" --store {location}"


def existing_store(location: str) -> Store:
    """The store that is there; a command that only looks makes none."""
    try:
        place = store_path(location)
        there = place.exists() if isinstance(place, Path) else (place / MARK).is_file()
    except OSError as error:
        told = no_access(error) or f"cannot be reached ({error})"
        end_with_error(f"store {location}: {told.removeprefix(f'{place}: ')}", code=REFUSED)
    if not there:
        kind = "folder" if isinstance(place, Path) else "store"
        end_with_error(f"store {location}: no such {kind}; give --store", code=REFUSED)
    return Store(place)
