"""What a report is made from: all that a run has so far, or up to one of its rounds."""

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import last_accepted, previous, why_stopped
from strop.flows.drift import drift_notes
from strop.flows.promote import why_no_contest
from strop.flows.session import PREPARE, PROMOTE, Refs, Session, round_part
from strop.tasks.break_down import break_down
from strop.tasks.decide import verdict
from strop.tasks.missed import missed_sentence
from strop.tasks.repeated import repeated_sentence
from strop.tasks.report import ReportInputs, report
from strop.tasks.stage import call

REPORTED = ("selection", "curriculum", "ranking_dev", "diagnosis", "reranker")


def report_round(session: Session, number: int) -> ArtifactRef:
    """The report of one round, on dev: the trend up to it, and why it was accepted or not."""
    config, part = session.config, round_part(number)
    shared, parts = session.part(PREPARE), session.run.parts()
    rounds = [n for n in range(1, number + 1) if "decision" in parts.get(round_part(n), {})]
    metrics = {0: shared["metrics_dev"]}
    metrics |= {n: parts[round_part(n)]["metrics_dev"] for n in rounds}
    by_split = {"dev": metrics[number]}
    place = session.place(part)
    breakdown = call(break_down, place, shared["dataset"], metrics, by_split, config, "dev")
    sources = ReportInputs(
        split="dev",
        metrics=metrics,
        rounds=_rounds(session, rounds),
        candidates=shared["candidates"],
        decisions=_decisions(session, rounds),
        champion=None,
        champion_name="",
        shown=number,
        breakdown=breakdown,
        round=number,
        work=_work(session, rounds),
        started=session.run.started,
    )
    made: ArtifactRef = call(report, place, config, sources)
    session.record(part, breakdown=breakdown, report=made)
    return made


def run_inputs(
    session: Session, split: str, metrics: dict[int, ArtifactRef], rounds: list[int], found: Refs
) -> ReportInputs:
    """What the report of the whole run is made from; ``found`` are its breakdown and latency."""
    shared, parts = session.part(PREPARE), session.run.parts()
    decisions = _decisions(session, rounds)
    if "decision" in parts.get(PROMOTE, {}):
        decisions.append(parts[PROMOTE]["decision"])
    champion = session.champion()
    own = champion is not None and champion["run"] == session.run.name
    last = max(rounds, default=0)
    return ReportInputs(
        split=split,
        metrics=metrics,
        rounds=_rounds(session, rounds),
        candidates=shared["candidates"],
        decisions=decisions,
        champion=(champion["round"], champion["ranking"]) if champion and own else None,
        champion_name=champion["name"] if champion else "not decided yet",
        shown=last_accepted(session, last + 1) or last,
        breakdown=found["breakdown"],
        latency=found["latency"],
        notes=[*_notes(session, rounds), *_approval(session), *drift_notes(session)],
        work=_work(session, rounds),
        started=session.run.started,
    )


def _decisions(session: Session, rounds: list[int]) -> list[ArtifactRef]:
    """Those before the gate, in order; on a fresh head there was none to make."""
    shared, parts = session.part(PREPARE), session.run.parts()
    first = [shared["first_champion"]] if "first_champion" in shared else []
    return [*first, *(parts[round_part(n)]["decision"] for n in rounds)]


def _notes(session: Session, rounds: list[int]) -> list[str]:
    """Why a run has fewer rounds than its config or no decision on the champion, which queries
    repeat each other, and what its first stage missed."""
    stopped = why_stopped(session, rounds[-1]) if rounds else ""
    notes = [f"{stopped[0].upper()}{stopped[1:]}."] if stopped else []
    ended = stopped or len(rounds) == session.config.rounds
    if ended and not session.has(PROMOTE, "decision") and (why := why_no_contest(session)):
        notes.append(f"No round was held against the champion: {why}.")
    shared = session.part(PREPARE)
    missed = missed_sentence(session.store, shared["dataset"], shared["candidates"])
    repeated = repeated_sentence(session.store, shared["dataset"])
    return [*notes, *(note for note in (repeated, missed) if note)]


def _approval(session: Session) -> list[str]:
    """Who gave the word, where the decision that made this run's champion awaited one."""
    decision, champion = session.run.parts().get(PROMOTE, {}).get("decision"), session.champion()
    if decision is None or champion is None or champion.get("decision") != decision.id:
        return []
    if verdict(session.store, decision)[0] != "awaiting":
        return []
    note = f": {champion['approved']}" if champion.get("approved") else ""
    return [f"Round {champion['round']} awaited approval and was promoted by hand{note}."]


def _rounds(session: Session, rounds: list[int]) -> dict[int, Refs]:
    """The reported artifacts of each round, with the selection that it is compared with."""
    parts, found = session.run.parts(), dict[int, Refs]()
    for number in rounds:
        found[number] = {role: parts[round_part(number)][role] for role in REPORTED}
        if last := previous(session, number).get("selection"):
            found[number]["last_selection"] = last
    return found


def _work(session: Session, rounds: list[int]) -> dict[int, list[ArtifactRef]]:
    """Every artifact of each round but its report, once."""
    parts = session.run.parts()
    return {
        number: list(
            {
                ref.id: ref
                for role, ref in parts[round_part(number)].items()
                if role not in ("report", "breakdown")
            }.values()
        )
        for number in rounds
    }
