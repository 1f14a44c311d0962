"""Options and arguments that several commands share, and the store that must be there."""

from pathlib import Path
from typing import Annotated

import typer

from strop.artifacts.store import Store
from strop.cli.output import REFUSED, end_with_error

StoreOption = Annotated[
    Path, typer.Option(envvar="STROP_STORE", help="Folder of the artifact store.")
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
STORE = Path(".strop")


def existing_store(path: Path) -> Store:
    """The store at a folder that is there; a command that only looks makes none."""
    if not path.exists():
        end_with_error(f"store {path}: no such folder; give --store", code=REFUSED)
    return Store(path)
