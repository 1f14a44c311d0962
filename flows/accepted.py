"""Which rounds of a run were accepted: what the next round mines with and starts from."""

from strop.flows.session import PREPARE, Refs, Session, round_part
from strop.tasks.decide import verdict


def last_accepted(session: Session, number: int) -> int:
    """The latest accepted round before this one; 0 is the untuned reranker."""
    return next(reversed(accepted_before(session, number)), 0)


def why_stopped(session: Session, number: int) -> str:
    """Why a run makes no round after this one, though its config has more; else nothing."""
    patience = session.config.decision.patience
    rejected = number - last_accepted(session, number + 1)
    if patience is None or rejected < patience or number >= session.config.rounds:
        return ""
    rounds = "the last round was" if rejected == 1 else f"the last {rejected} rounds were"
    return f"stopped after round {number}: {rounds} rejected (decision.patience = {patience})"


def accepted_before(session: Session, number: int) -> list[int]:
    """All accepted rounds before this one, in order."""
    parts = session.run.parts()
    found = []
    for earlier in range(1, number):
        decision = parts.get(round_part(earlier), {}).get("decision")
        if decision and verdict(session.store, decision)[0] == "accepted":
            found.append(earlier)
    return found


def made_by(session: Session, number: int) -> Refs:
    """The refs of a round, or of the preparation for round 0."""
    return session.part(round_part(number) if number else PREPARE)


def previous(session: Session, number: int) -> Refs:
    """The refs of the last accepted round before this one, or of the preparation."""
    return made_by(session, last_accepted(session, number))
