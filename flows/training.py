"""Training, in one round: negatives ─► reranker(r), from the last one, the base or their mean."""

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import accepted_before, made_by
from strop.flows.session import PREPARE, Session, round_part
from strop.flows.verdicts import verdicts_of_round
from strop.tasks.stage import Place, call
from strop.tasks.train import train


def train_round(session: Session, number: int) -> ArtifactRef:
    """The round's reranker."""
    negatives = session.part(round_part(number))["negatives"]
    accepted = accepted_before(session, number)
    last = made_by(session, accepted[-1] if accepted else 0)["reranker"]
    earlier = [made_by(session, before)["negatives"] for before in accepted]
    return train_on(session, session.place(round_part(number)), number, last, negatives, earlier)


def train_on(
    session: Session,
    place: Place,
    number: int,
    last: ArtifactRef,
    negatives: ArtifactRef,
    earlier: list[ArtifactRef],
) -> ArtifactRef:
    """A reranker trained as in round ``number``, on these negatives after these earlier ones."""
    config, shared = session.config, session.part(PREPARE)
    settings, base = config.training, shared["reranker"]
    measured = settings.evaluate_every is not None
    trained: ArtifactRef = call(
        train,
        place,
        base if settings.start == "base" else last,
        negatives,
        shared["tokens"],
        config,
        number,
        base=base if settings.start == "average" and last != base else None,
        earlier=earlier if settings.replay_share else (),
        verdicts=verdicts_of_round(session, number) if settings.replay_share and earlier else None,
        dataset=shared["dataset"] if measured else None,
        candidates=shared["candidates"] if measured else None,
    )
    return trained
