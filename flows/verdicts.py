"""Which verdicts the rounds of a run are mined with: the config's, then those of its reviews."""

from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.flows.session import PREPARE, Refs, Session

VERDICTS = "verdicts"
"""The role of verdicts, and the stem of the parts of a run that a review leaves behind."""


def verdicts_part(number: int) -> str:
    """The part that holds the verdicts for the rounds from ``number`` on."""
    return f"{VERDICTS}-{number:03d}"


def verdicts_of_round(session: Session, number: int) -> ArtifactRef | None:
    """The verdicts that a round is mined with: the last that were finished before it."""
    return verdicts_among(session.run.parts(), number)


def verdicts_among(parts: dict[str, Refs], number: int) -> ArtifactRef | None:
    """The same, of a run's recorded parts."""
    first = parts.get(PREPARE, {}).get(VERDICTS)
    found = {
        int(part.removeprefix(f"{VERDICTS}-")): made[VERDICTS]
        for part, made in parts.items()
        if part.startswith(f"{VERDICTS}-")
    }
    reviewed = [found[start] for start in sorted(found) if start <= number]
    return reviewed[-1] if reviewed else first


def next_round(parts: dict[str, Refs]) -> int:
    """The first round that has not been mined yet."""
    return max(_mined(parts, "selection"), default=0) + 1


def round_to_review(run: Run, number: int | None) -> int:
    """The round whose suspects are reviewed, the last mined one unless told; raises `NotFound`."""
    mined = _mined(run.parts(), "suspects")
    if not mined:
        raise NotFound(f"run {run.name}: no round has been mined yet; `strop run` does it")
    if number is not None and number not in mined:
        rounds = ", ".join(map(str, mined))
        raise NotFound(f"run {run.name}: round {number} has not been mined; mined are {rounds}")
    return number or mined[-1]


def suspects_by_round(run: Run) -> dict[int, int]:
    """How many suspects each mined round has, where it has any."""
    parts = run.parts()
    refs = {
        number: parts[f"round-{number:03d}"]["suspects"] for number in _mined(parts, "suspects")
    }
    counts = {n: run.store.table(ref, "suspects").num_rows for n, ref in refs.items()}
    return {number: count for number, count in counts.items() if count}


def _mined(parts: dict[str, Refs], role: str) -> list[int]:
    return sorted(
        int(part.removeprefix("round-"))
        for part, made in parts.items()
        if part.startswith("round-") and role in made
    )
