"""`strop import`: check a data set, and keep it in the store."""

from pathlib import Path

from strop.artifacts.store import Store
from strop.cli.output import console, print_json
from strop.cli.running import prefect_server, shown
from strop.pipeline.errors import InputError

FORMATS = ("beir",)


def run_import(
    data_format: str,
    path: Path,
    store: Path,
    *,
    check: bool,
    shares: tuple[float, float],
    seed: int,
    json: bool,
) -> None:
    """Import a data set, or only check it."""
    if data_format not in FORMATS:
        raise InputError(f"format {data_format!r}: unknown; expected {', '.join(FORMATS)}")
    for name, share in zip(("--dev-share", "--gate-share"), shares, strict=True):
        if not 0 <= share < 1:
            raise InputError(f"{name} {share}: expected a share from 0 up to 1")
    if check:
        _check(path, shares, seed, json=json)
        return
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.import_data import import_data

        ref = shown(out, lambda: import_data(path, opened.root, *shares, seed))
    summary = opened.manifest(ref).summary
    if json:
        print_json({"dataset": ref.id, **summary})
        return
    out.print(f"dataset {ref.id}; in a config: dataset: {ref.id}")


def _check(path: Path, shares: tuple[float, float], seed: int, *, json: bool) -> None:
    from strop.flows.import_data import check_data

    summary = check_data(path, *shares, seed)
    if json:
        print_json({"problems": [], **summary})
        return
    text = ", ".join(f"{value:,} {key.replace('_', ' ')}" for key, value in summary.items())
    console().print(f"{path}: no problems; {text}")
