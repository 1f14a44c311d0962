"""`strop export`: what was mined, as files for other trainers."""

import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from strop.artifacts.errors import StoreError
from strop.cli.options import STORE, StoreOption, existing_store
from strop.cli.output import console
from strop.pipeline.errors import counted

export_app = typer.Typer(help="Write what was mined for other trainers.", no_args_is_help=True)


@export_app.callback()
def _export() -> None:
    """Write what was mined for other trainers."""


@export_app.command("negatives")
def export_negatives(
    artifact: Annotated[str, typer.Argument(metavar="ID", help="A negatives artifact's id.")],
    data_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="flagembedding, st-triplet, st-ntuple, st-labeled-list, tevatron or trec-run.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file; else standard output.")
    ] = None,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help="A `scores` column in the st- formats; of flagembedding only lines with scores.",
        ),
    ] = False,
    store: StoreOption = STORE,
) -> None:
    """Write a round's negatives with their queries and positives; the same bytes every time."""
    from strop.flows.export_data import exported_negatives

    found = exported_negatives(existing_store(store), artifact, data_format, scores=scores)
    lines = [f"{line}\n".encode() for line in found.lines]
    if out is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.flush()
    else:
        _write(out, lines)
    left_out = ", ".join(f"{count:,} {what}" for what, count in sorted(found.left_out.items()))
    told = counted(len(lines), "lines") + (f"; left out: {left_out}" if left_out else "")
    console(stderr=True).print(told, soft_wrap=True)


def _write(path: Path, lines: list[bytes]) -> None:
    """Write a new file, whole or not at all; raises `StoreError`."""
    if path.exists():
        raise StoreError(f"{path}: is there already; choose a new file")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("wb") as file:
            file.writelines(lines)
        beside.replace(path)
    except OSError as error:
        if error.errno is None or error.strerror is None:
            raise
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):
            beside.unlink()
