"""`strop review`: judge a round's suspects on a local page, or in a file of an annotation tool."""

import contextlib
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from strop.artifacts.reviews import review_lease
from strop.artifacts.runs import Run
from strop.cli.mine import config_of
from strop.cli.options import existing_store
from strop.cli.output import INTERRUPTED, console, print_json
from strop.flows.review import WORDS, Finished, Review, open_review
from strop.flows.verdicts import suspects_by_round
from strop.pipeline.errors import InputError, counted


@dataclass(frozen=True)
class Wishes:
    """What `strop review` is to do; it serves the page when it is to do nothing else."""

    read: Path | None = None
    write: Path | None = None
    finish: bool = False
    port: int = 0
    browser: bool = True

    @property
    def page(self) -> bool:
        """Whether the page is served."""
        return not (self.read or self.write or self.finish)


def run_review(
    name: str, store: str, number: int | None, wishes: Wishes, *, json: bool = False
) -> None:
    """Read verdicts from a file, write them to one, finish the review, or serve its page."""
    opened, out = existing_store(store), console(stderr=json)
    run = Run(opened, config_of(opened, name).name)
    with _opened(run, number, wishes) as review:
        if wishes.read:
            count = review.import_file(wishes.read)
            out.print(f"{wishes.read}: {counted(count, 'verdicts')} kept")
        if wishes.write:
            review.export_file(wishes.write)
            out.print(f"wrote {wishes.write}: {_standing(review)}")
        finished = review.finish() if wishes.finish else None
        if wishes.page:
            finished = _serve(review, wishes, out, name)
        if json:
            print_json(_facts(review, finished))
        elif finished:
            _tell(finished, out)
        elif wishes.read:
            out.print(f"{_standing(review)}; next: strop review {name} --finish")


@contextlib.contextmanager
def _opened(run: Run, number: int | None, wishes: Wishes) -> Iterator[Review]:
    """The review, whose lease is held unless it is only looked at."""
    if wishes.write and not (wishes.read or wishes.finish):
        yield open_review(run, number)
        return
    run.config  # noqa: B018 - raises for a run that does not exist, before a folder is made
    with review_lease(run) as lease:
        yield open_review(run, number, lease)


def _serve(review: Review, wishes: Wishes, out: Console, name: str) -> Finished | None:
    """Serve the page until somebody finishes the review or stops the command."""
    from strop.cli.review.server import ReviewServer

    if not review.cards:
        others = [f"round {n} has {count:,}" for n, count in suspects_by_round(review.run).items()]
        told = ", ".join([f"round {review.number} has no suspects", *others])
        out.print(f"run {review.run.name}: {told}")
        return None
    try:
        server = ReviewServer(review, port=wishes.port)
    except OSError as error:
        raise InputError(
            f"--port {wishes.port}: cannot be listened on ({error.strerror}), expected a free port"
        ) from error
    with server:
        out.print(_standing(review))
        out.print(server.url, soft_wrap=True)
        out.print(
            "every verdict is kept at once; Ctrl-C stops, and the next start goes on", style="dim"
        )
        if wishes.browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            out.print(f"\n{_standing(review)}; to keep them: strop review {name} --finish")
            raise SystemExit(INTERRUPTED) from None
    return server.finished


def _standing(review: Review) -> str:
    return (
        f"run {review.run.name}, round {review.number}: {review.judged:,} of "
        f"{counted(len(review.cards), 'suspects')} judged"
    )


def _tell(finished: Finished, out: Console) -> None:
    counts = ", ".join(f"{finished.counts[word]:,} {word}" for word in WORDS)
    out.print(f"verdicts {finished.verdicts.id}: {counts}")
    out.print(finished.sentence)


def _facts(review: Review, finished: Finished | None) -> dict[str, Any]:
    made = {"verdicts": finished.verdicts.id, "next_round": finished.next_round} if finished else {}
    said = list(review.verdicts.values())
    return {
        "run": review.run.name,
        "round": review.number,
        "suspects": len(review.cards),
        "judged": review.judged,
        "counts": {word: said.count(word) for word in WORDS},
        **made,
    }
