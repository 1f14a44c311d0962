"""`strop artifacts`: look at what is in the store, and keep it in order."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from strop.cli.options import STORE, JsonOption, StoreOption, existing_store
from strop.cli.output import REFUSED, end_with_error

artifacts_app = typer.Typer(help="Look at the versioned artifacts.", no_args_is_help=True)

ArtifactArgument = Annotated[str, typer.Argument(metavar="ID", help="Id, or its first digits.")]


class LineageFormat(StrEnum):
    """How a lineage is written."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"


@artifacts_app.command("ls")
def list_(
    store: StoreOption = STORE,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    run: Annotated[str | None, typer.Option(help="Only what this run made or used.")] = None,
    number: Annotated[
        int | None, typer.Option("--round", min=0, help="Only this round; 0 is what was prepared.")
    ] = None,
    newer: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only what is younger: 90s, 30m, 2h, 7d, 4w.")
    ] = None,
    older: Annotated[str | None, typer.Option(metavar="AGE", help="Only what is older.")] = None,
    json: JsonOption = False,
) -> None:
    """List artifacts, oldest first, with run, round, size and headline figures."""
    from strop.cli.artifacts.listing import Wish, list_artifacts

    wish = Wish(kind, run, number, _age("--newer", newer), _age("--older", older))
    list_artifacts(existing_store(store), wish, json=json)


@artifacts_app.command()
def show(
    artifact: ArtifactArgument,
    store: StoreOption = STORE,
    rows: Annotated[int, typer.Option(min=0, help="First rows of each table to show.")] = 3,
    json: JsonOption = False,
) -> None:
    """Show one artifact: where it came from, its columns with their bounds, its first rows."""
    from strop.cli.artifacts.showing import show_artifact

    opened = existing_store(store)
    show_artifact(opened, opened.find(artifact), rows=rows, json=json)


@artifacts_app.command()
def lineage(
    artifact: ArtifactArgument,
    store: StoreOption = STORE,
    shape: Annotated[
        LineageFormat, typer.Option("--format", help="Text, or a picture on standard output.")
    ] = LineageFormat.TEXT,
    json: JsonOption = False,
) -> None:
    """Show what an artifact was made from, and everything that was made from it."""
    from strop.cli.artifacts.lineage import show_lineage

    opened = existing_store(store)
    show_lineage(opened, opened.find(artifact), shape.value, json=json)


@artifacts_app.command()
def verify(
    artifact: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Id; all when not given.")
    ] = None,
    store: StoreOption = STORE,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every table against its schema, make ids anew.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check every file against its manifest; exit code 1 when something is damaged."""
    from strop.cli.artifacts.verifying import verify_artifacts

    verify_artifacts(existing_store(store), artifact, deep=deep, json=json)


@artifacts_app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Id, or its first digits.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another of the same kind.")],
    store: StoreOption = STORE,
    examples: Annotated[int, typer.Option(min=0, help="Examples of each sort of change.")] = 3,
    json: JsonOption = False,
) -> None:
    """Show what differs between two artifacts: parameters, inputs, columns and rows."""
    from strop.cli.artifacts.differing import show_diff

    opened = existing_store(store)
    pair = (opened.find(before), opened.find(after))
    show_diff(opened, *pair, examples=examples, json=json)


@artifacts_app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT over the store's views.")],
    store: StoreOption = STORE,
    rows: Annotated[int, typer.Option(min=1, help="Rows that the table shows.")] = 50,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask in SQL: a view a table, such as negatives or metrics_per_query, by run and round."""
    from strop.cli.artifacts.querying import Shape, run_query

    if json and as_csv:
        end_with_error("--json --csv: choose one of them", code=REFUSED)
    shape = Shape.JSON if json else Shape.CSV if as_csv else Shape.TABLE
    run_query(existing_store(store), sql, shape=shape, rows=rows)


@artifacts_app.command()
def gc(
    store: StoreOption = STORE,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete; else only say what would go.")
    ] = False,
    keep_days: Annotated[float, typer.Option(min=0, help="Keep what is younger.")] = 7.0,
    keep_last: Annotated[int, typer.Option(min=0, help="Keep the newest of each kind.")] = 0,
    imports: Annotated[
        bool, typer.Option("--imports", help="Data sets, models and verdicts too, if unused.")
    ] = False,
    drop_run: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Forget this run, so that only what others use stays."),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds between marking and deleting.")
    ] = 60.0,
    json: JsonOption = False,
) -> None:
    """Delete what no run, champion, pin or running process speaks of, and dead leftovers."""
    from strop.artifacts.upkeep.plan import Policy
    from strop.cli.artifacts.collecting import collect_garbage

    policy = Policy(keep_days, keep_last, imports, frozenset(drop_run or ()), grace)
    collect_garbage(existing_store(store), policy, delete=delete, json=json)


@artifacts_app.command()
def pin(
    artifact: ArtifactArgument,
    store: StoreOption = STORE,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Keep an artifact, with all that it was made from, whatever gc is told."""
    from strop.artifacts import pins

    opened = existing_store(store)
    found = opened.use(opened.find(artifact).ref)
    pins.keep(opened.root, found.kind, found.id, reason)
    typer.echo(f"pinned {found.kind} {found.id}")


@artifacts_app.command()
def unpin(artifact: ArtifactArgument, store: StoreOption = STORE) -> None:
    """Let gc delete an artifact again, if nothing else speaks of it."""
    from strop.artifacts import pins

    opened = existing_store(store)
    found = opened.find(artifact)
    if not pins.let_go(opened.root, found.kind, found.id):
        end_with_error(f"{found.kind} {found.id}: is not pinned", code=REFUSED)
    typer.echo(f"unpinned {found.kind} {found.id}")


@artifacts_app.command()
def export(
    artifact: ArtifactArgument,
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not hold anything.")],
    store: StoreOption = STORE,
    json: JsonOption = False,
) -> None:
    """Copy an artifact with all it was made from into a folder, verified."""
    from strop.cli.artifacts.transferring import export_artifact

    opened = existing_store(store)
    export_artifact(opened, opened.find(artifact), folder, json=json)


@artifacts_app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Folder that `strop artifacts export` wrote.")],
    store: StoreOption = STORE,
    json: JsonOption = False,
) -> None:
    """Take in an exported artifact with its ancestors, after all of it was verified."""
    from strop.cli.artifacts.transferring import import_artifact

    import_artifact(store, folder, json=json)


@artifacts_app.command()
def purge(
    passage: Annotated[str, typer.Option(metavar="ID", help="The passage that has to go.")],
    store: StoreOption = STORE,
    delete: Annotated[
        bool, typer.Option("--delete", help="Do it; else only say what it would take.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Erase a passage's text, and name what was trained on it."""
    from strop.cli.artifacts.purging import purge_passage

    purge_passage(existing_store(store), passage, delete=delete, json=json)


def _age(option: str, text: str | None) -> timedelta | None:
    from strop.cli.artifacts.text import parse_age

    try:
        return None if text is None else parse_age(text, option=option)
    except ValueError as error:
        end_with_error(str(error), code=REFUSED)
