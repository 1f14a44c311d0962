"""The `strop` command: parse, call a flow or the store, print."""

import atexit
import gc
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from strop import __version__
from strop.cli.options import STORE, JsonOption, ProfileOption, StoreOption
from strop.cli.output import (
    FAILED,
    INTERRUPTED,
    REFUSED,
    Loudness,
    console,
    end_with_error,
    full_disk,
    no_access,
    plain_help,
    set_loudness,
)
from strop.cli.rounds import add_round_commands
from strop.cli.server_probe import refused
from strop.cli.signals import stoppable

app = typer.Typer(
    name="strop",
    help="Sharpen a reranker on its own mistakes: versioned rounds of mining and training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


USAGE_ERROR: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""What typer raises for a wrong command line: click's, or that of its own copy of click."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"strop {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only tell how it ended.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell all figures of every stage.")
    ] = False,
) -> None:
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other")
    if quiet or verbose:
        set_loudness(Loudness.QUIET if quiet else Loudness.VERBOSE)


@app.command()
def demo(
    store: StoreOption = STORE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data split and training.")] = 1,
    small: Annotated[
        bool, typer.Option(help="A smoke test of a minute: too small to gain anything.")
    ] = False,
    json: JsonOption = False,
    profile: ProfileOption = None,
) -> None:
    """Sharpen a real reranker on the documentation of the installed Python packages."""
    from strop.cli.demo import run_demo

    run_demo(store, seed=seed, small=small, json=json, profile=profile)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write the config; - prints it.")] = Path(
        "strop.yaml"
    ),
) -> None:
    """Write a config with every key, its default and its meaning."""
    from strop.cli.config_file import example_config

    if str(path) == "-":
        typer.echo(example_config(), nl=False)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example_config())
    except FileExistsError:
        end_with_error(f"{path}: exists already; choose another path", code=REFUSED)
    except OSError as error:
        end_with_error(f"{path}: cannot be written ({error.strerror})", code=REFUSED)
    console().print(f"wrote {path}; set `dataset`, then: strop run {path}")


@app.command(name="import")
def import_(
    data_format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="beir, flagembedding, trec, huggingface, or table (see docs)."
        ),
    ],
    path: Annotated[str, typer.Argument(help="Folder or file of the data, or its URI.")],
    store: StoreOption = STORE,
    check: Annotated[bool, typer.Option("--check", help="Only check; write nothing.")] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Which column is query, passage, grade, …"),
    ] = None,
    dev_share: Annotated[float, typer.Option(help="Train queries kept as dev if none.")] = 0.1,
    gate_share: Annotated[float, typer.Option(help="Dev queries kept as gate if none.")] = 0.5,
    test_share: Annotated[float, typer.Option(help="Train queries kept as test if none.")] = 0.0,
    split_by: Annotated[str, typer.Option(help="Cut by query, source (document) or time.")] = (
        "query"
    ),
    time_field: Annotated[
        str | None, typer.Option(help="The queries' field to cut by time; `time` by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the splits.")] = 1,
    chunk_words: Annotated[
        int | None, typer.Option(min=8, help="Cut longer passages into chunks of so many words.")
    ] = None,
    chunk_overlap: Annotated[
        int, typer.Option(min=0, help="Words that a chunk has in common with the one before.")
    ] = 0,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --check: warn of passages too long for it."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that MODEL reads; 256 by default.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a data set and keep it in the store as a versioned artifact."""
    from strop.cli.importing import Wishes, run_import

    wishes = Wishes(
        column or [],
        dev_share,
        gate_share,
        test_share,
        split_by,
        time_field,
        seed,
        chunk_words,
        chunk_overlap,
        tokenizer,
        max_tokens,
    )
    run_import(data_format, path, store, wishes, check=check, json=json)


add_round_commands(app)


@app.command()
def ui(
    stop: Annotated[bool, typer.Option("--stop", help="Stop the managed server.")] = False,
    show: Annotated[bool, typer.Option("--url", help="Only print the address.")] = False,
) -> None:
    """Open the Prefect UI, starting the managed server if there is none."""
    from strop.cli.ui import open_ui

    open_ui(stop=stop, show=show)


@app.command()
def serve(store: StoreOption = STORE) -> None:
    """Offer the flows as deployments, so that runs can be started from the Prefect UI."""
    from strop.cli.serve import serve_flows

    serve_flows(store)


def _add_groups() -> None:
    from strop.cli.artifacts.command import artifacts_app
    from strop.cli.champion import champion_app
    from strop.cli.compare import compare
    from strop.cli.exporting import export_app
    from strop.cli.production import add_commands

    app.command()(compare)
    add_commands(app)
    app.add_typer(champion_app, name="champion")
    app.add_typer(artifacts_app, name="artifacts")
    app.add_typer(export_app, name="export")


_add_groups()


def main() -> None:
    """Run the command line; every error that a person can mend is one line and exit code 2."""
    plain_help()
    # At its end the interpreter would look for garbage in all of torch, which takes two seconds.
    atexit.register(gc.freeze)
    with stoppable() as stopped:
        try:
            code = app(standalone_mode=False, prog_name="strop")
            if code == INTERRUPTED:  # typer turns Ctrl-C into an exit code of its own
                raise KeyboardInterrupt
        except typer.Abort as error:
            raise KeyboardInterrupt from error
        except typer.Exit as error:
            raise SystemExit(error.exit_code) from error
        except Exception as error:
            if stopped():
                raise KeyboardInterrupt from error
            _end(error)
    sys.exit(code)


def _end(error: Exception) -> None:
    from strop.cli.server import fault_of_server
    from strop.pipeline.errors import WorkLost

    if isinstance(error, USAGE_ERROR):
        command = getattr(getattr(error, "ctx", None), "command_path", "strop")
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        if not message:  # a group without its command, whose help has been printed
            raise SystemExit(REFUSED)
        end_with_error(f"{message}; {command} --help tells what there is", code=REFUSED)
    if message := full_disk(error):
        end_with_error(message, code=REFUSED)
    if isinstance(error, _expected()):
        end_with_error(str(error), code=REFUSED)
    if isinstance(error, WorkLost):
        end_with_error(str(error), code=FAILED)
    if message := no_access(error) or refused(error):
        end_with_error(message, code=REFUSED)
    if message := fault_of_server(error):
        end_with_error(message, code=FAILED)
    if type(error).__module__.partition(".")[0] in ("httpx", "httpcore"):
        message = "the Prefect server stopped answering; the same command resumes"
        end_with_error(f"{message} ({type(error).__name__})", code=FAILED)
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    end_with_error("this is a fault of strop; please report the lines above", code=FAILED)


def _expected() -> tuple[type[Exception], ...]:
    from strop.artifacts.errors import StoreError
    from strop.cli.server import ServerUnavailable
    from strop.pipeline.errors import InputError

    return (InputError, StoreError, ServerUnavailable)
