"""`strop import`: check a data set, and keep it in the store."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from strop.artifacts.store import Store
from strop.cli.display import Display, DisplayedProgress
from strop.cli.output import REFUSED, console, end_with_error, print_json
from strop.cli.running import prefect_server, shown
from strop.pipeline.errors import InputError, counted

MAX_TOKENS = 256
SPLIT_BY = ("query", "source", "time")


@dataclass(frozen=True)
class Wishes:
    """What the command line says about the data."""

    columns: list[str] = field(default_factory=list)
    dev_share: float = 0.1
    gate_share: float = 0.5
    test_share: float = 0.0
    split_by: str = "query"
    time_field: str | None = None
    seed: int = 1
    chunk_words: int | None = None
    chunk_overlap: int = 0
    tokenizer: str | None = None
    max_tokens: int | None = None

    def rule(self) -> dict[str, Any]:
        """How splits are cut; raises `InputError` for what is no share or no such way."""
        for name in ("dev_share", "gate_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise InputError(
                    f"--{option} {getattr(self, name)}: expected a share from 0 up to 1"
                )
        if self.split_by not in SPLIT_BY:
            raise InputError(f"--split-by {self.split_by}: expected {', '.join(SPLIT_BY)}")
        if self.time_field is not None and self.split_by != "time":
            raise InputError(f"--time-field {self.time_field}: expected with --split-by time")
        shares = {name: getattr(self, name) for name in ("dev_share", "gate_share", "test_share")}
        time_field = self.time_field or "time"
        return {**shares, "by": self.split_by, "time_field": time_field, "seed": self.seed}

    def chunks(self) -> tuple[int, int] | None:
        """Words of a chunk and of its overlap; raises `InputError` for a pair that cannot be."""
        if self.chunk_words is None and self.chunk_overlap:
            raise InputError("--chunk-overlap: expected with --chunk-words")
        if self.chunk_words is None:
            return None
        if self.chunk_overlap >= self.chunk_words:
            raise InputError(
                f"--chunk-overlap {self.chunk_overlap}: expected fewer words than --chunk-words "
                f"{self.chunk_words}"
            )
        return self.chunk_words, self.chunk_overlap


def run_import(
    data_format: str, path: str, store: str, wishes: Wishes, *, check: bool, json: bool
) -> None:
    """Import a data set, or only check it."""
    from strop.flows.check_data import data_request

    if wishes.tokenizer and not check:
        raise InputError("--tokenizer: expected with --check; an import cuts nothing")
    if wishes.max_tokens and not wishes.tokenizer:
        raise InputError(
            f"--max-tokens {wishes.max_tokens}: expected with --check --tokenizer MODEL, whose "
            "tokens they are"
        )
    request = data_request(
        data_format, path, columns=wishes.columns, rule=wishes.rule(), chunks=wishes.chunks()
    )
    try:
        if check:
            _check(request, wishes, json=json)
        else:
            _import(request, store, json=json)
    except InputError as error:
        if not json:
            raise
        problems = getattr(error, "report", None) or [_problem(error)]
        print_json({"problems": problems})
        end_with_error(str(error), code=REFUSED)


def _problem(error: InputError) -> dict[str, Any]:
    return {"kind": "not readable", "severity": "error", "count": 1, "examples": [str(error)]}


def _import(request: Any, store: str, *, json: bool) -> None:
    request.files()  # a wrong path is told before a server is started
    opened = Store(store)
    out = console(stderr=json)
    with prefect_server(out):
        from strop.flows.import_data import import_data

        ref = shown(out, lambda: import_data(request, opened.location))
    summary = opened.manifest(ref).summary
    if json:
        print_json({"dataset": ref.id, **summary})
        return
    if warned := summary.get("warnings"):
        counts = ", ".join(f"{count:,} of {kind!r}" for kind, count in warned.items())
        out.print(f"warnings: {counts}; --check shows where", soft_wrap=True)
    since = summary.get("passages_since", {})
    if since and not any(count for kind, count in since.items() if kind != "same"):
        out.print(f"passages: the same as those of {summary['previous']}")
    elif since:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in since.items())
        told = f"passages since {summary['previous']}: {counts}"
        way = f"strop artifacts diff {summary['previous']} {ref.id} names them"
        out.print(f"{told}; {way}", soft_wrap=True)
    out.print(f"dataset {ref.id}; in a config: dataset: {ref.id}")


def _check(request: Any, wishes: Wishes, *, json: bool) -> None:
    from strop.flows.check_data import check_data

    with Display(console(stderr=json)) as display:
        progress = DisplayedProgress(display, "check data")
        most = wishes.max_tokens or MAX_TOKENS
        found = check_data(request, wishes.tokenizer, most, progress=progress)
    summary, report, warnings = found
    if json:
        print_json({"problems": report, **summary})
        return
    out = console()
    _print_warnings(out, warnings)
    counts = {key: value for key, value in summary.items() if isinstance(value, int)}
    text = ", ".join(counted(value, key.replace("_", " ")) for key, value in counts.items())
    verdict = counted(len(warnings), "kinds of warnings") if warnings else "no problems"
    out.print(f"{request.path}: {verdict}; {text}", soft_wrap=True)


def _print_warnings(out: Console, warnings: list[str]) -> None:
    for line in warnings:
        out.print(f"warning: {line}", soft_wrap=True)
