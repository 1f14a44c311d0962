"""Review: people judge a round's suspects, and what they said is kept for the rounds to come."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from strop.artifacts import durable
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.reviews import Pair, ReviewLog, Verdicts
from strop.artifacts.runs import Run
from strop.flows.session import PREPARE
from strop.flows.verdicts import next_round, round_to_review, verdicts_among, verdicts_part
from strop.pipeline.errors import InputError
from strop.tasks.review import (
    VERDICT_WORDS,
    Cards,
    as_file,
    keep_verdicts,
    read_back,
    suspect_cards,
    verdicts_in,
)
from strop.tasks.stage import Place

WORDS = VERDICT_WORDS
"""What people may say of a suspect."""


@dataclass(frozen=True)
class Finished:
    """The verdicts artifact, and the first round that is mined with it.

    ``next_round`` is None where all rounds of the run are mined already.
    """

    verdicts: ArtifactRef
    counts: dict[str, int]
    next_round: int | None

    @property
    def sentence(self) -> str:
        """What becomes of the verdicts."""
        new_run = f"a new run takes them with mining.verdicts: {self.verdicts.id}"
        if self.next_round is None:
            return f"All rounds of this run are mined already; {new_run}."
        return f"Round {self.next_round} of this run is mined with them; {new_run}."


@dataclass(frozen=True)
class Review:
    """The suspects of one round of a run, and what people have said of them so far.

    ``before`` are the verdicts that the run was started with; those of the log replace them.
    """

    run: Run
    number: int
    dataset: ArtifactRef
    cards: Cards
    before: Verdicts
    log: ReviewLog
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def verdicts(self) -> Verdicts:
        """Every verdict, of this round's suspects and of others."""
        return {**self.before, **self.log.verdicts}

    @property
    def judged(self) -> int:
        """How many of the suspects have a verdict."""
        said = self.verdicts
        return sum(card.pair in said for card in self.cards)

    def give(self, pair: Pair, verdict: str) -> None:
        """Keep a verdict durably."""
        with self.turn:
            self.log.give(pair, verdict)

    def undo(self) -> Pair | None:
        """Take back the last verdict given by hand."""
        with self.turn:
            return self.log.undo()

    def import_file(self, path: Path) -> int:
        """Keep the verdicts of a file, all or none; returns how many."""
        found = read_back(self.run.store, self.dataset, path)
        with self.turn:
            self.log.add(found)
        return len(found)

    def export_file(self, path: Path) -> None:
        """Write the suspects with their verdicts; never over another file."""
        data = as_file(self.cards, self.verdicts, path)
        if path.exists():
            raise InputError(f"{path}: exists already; choose another path")
        try:
            durable.create(path, data)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error

    def finish(self) -> Finished:
        """Keep all verdicts as an artifact, and record it for the rounds that are not mined yet."""
        with self.turn:
            place = Place(self.run.store.location, self.run.name, f"review of round {self.number}")
            said = self.verdicts
            if not said:
                raise InputError(
                    f"run {self.run.name}: nobody has judged a suspect yet, expected one verdict "
                    "at least"
                )
            with self.run.lease() as lease:
                ref = keep_verdicts(place, said)
                following = next_round(self.run.parts())
                self.run.record(lease, verdicts_part(following), {"verdicts": ref})
            summary = self.run.store.manifest(ref).summary
            left = following <= self.run.config["rounds"]
            return Finished(ref, summary, following if left else None)


def open_review(run: Run, number: int | None, lease: Lease | None = None) -> Review:
    """The review of a round, the last mined one unless told; raises `NotFound` before any.

    Without the run's `review_lease` it is for reading only.
    """
    store = run.store
    parts = run.parts()
    reviewed = round_to_review(run, number)
    dataset = parts[PREPARE]["dataset"]
    suspects = parts[f"round-{reviewed:03d}"]["suspects"]
    return Review(
        run,
        reviewed,
        dataset,
        suspect_cards(store, dataset, suspects),
        verdicts_in(store, verdicts_among(parts, 0)),
        ReviewLog(run, lease),
    )
