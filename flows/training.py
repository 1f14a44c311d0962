"""Training, in one round: negatives ─► reranker(r), from the last one, the base or their mean."""

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import accepted_before, made_by
from strop.flows.session import PREPARE, Session, round_part
from strop.flows.verdicts import verdicts_of_round
from strop.tasks.stage import Place, call
from strop.tasks.train import train
from strop.tasks.training_inputs import TrainingInputs


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
    replayed = bool(settings.replay_share and earlier)
    inputs = TrainingInputs(
        reranker=base if settings.start == "base" else last,
        negatives=negatives,
        tokens=shared["tokens"],
        base=base if settings.start == "average" and last != base else None,
        earlier=tuple(earlier) if replayed else (),
        verdicts=verdicts_of_round(session, number) if replayed else None,
        dataset=shared["dataset"] if measured else None,
        candidates=shared["candidates"] if measured else None,
    )
    trained: ArtifactRef = call(train, place, inputs, config, number)
    return trained
