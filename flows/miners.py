"""Who mines a round: the first stage, one reranker, or one a fold that never saw its queries."""

from dataclasses import replace

from strop.artifacts.manifest import ArtifactRef
from strop.flows.accepted import accepted_before, made_by
from strop.flows.measured import is_fresh
from strop.flows.session import PREPARE, Session, part_title, round_part
from strop.flows.training import train_on
from strop.flows.verdicts import verdicts_of_round
from strop.tasks.mine import leave_out_fold
from strop.tasks.mining_inputs import MiningInputs
from strop.tasks.round_pool import RoundPool, query_plan
from strop.tasks.score import score
from strop.tasks.stage import Place, call


def mining_inputs(session: Session, number: int) -> MiningInputs:
    """Score the round's pool with all models that mine or judge; the rest is selection."""
    pool = _pool(session)
    miner, before = _miners(session, number, pool)
    config = session.config.mining
    return MiningInputs(
        pool=pool,
        ranking=made_by(session, miner)["ranking_dev"],
        scores=_scores_by(session, number, pool, miner) if config.miner != "first_stage" else (),
        teacher_scores=_teacher_scores(session, number, pool),
        earlier_scores=_earlier_scores(session, number, pool, before),
        verdicts=verdicts_of_round(session, number),
    )


def _pool(session: Session) -> RoundPool:
    shared = session.part(PREPARE)
    numbers = range(1, len(session.config.mining.more_pools) + 1)
    others = tuple(shared[f"pool_{number}"] for number in numbers)
    return RoundPool(shared["dataset"], shared["candidates"], others)


def _miners(session: Session, number: int, pool: RoundPool) -> tuple[int, int | None]:
    """The rounds whose rerankers mine and judge: the last accepted, and the one before that.

    0 is the untuned reranker, and None where there is no round before.
    """
    plan = query_plan(session.store, pool.dataset, session.config)
    accepted = accepted_before(session, number)
    last = plan.miner_of(number, accepted)
    before = plan.miner_of(number, [earlier for earlier in accepted if earlier < last])
    mines = last if session.config.mining.miner == "last_round" else 0
    return mines, before if last else None


def _scores_by(
    session: Session, number: int, pool: RoundPool, miner: int
) -> tuple[ArtifactRef, ...]:
    """The pool's scores by a round's reranker, or by one a fold; none of a fresh head."""
    reranker = made_by(session, miner)["reranker"]
    if is_fresh(session, reranker):
        return ()
    in_turns = session.config.mining.miner == "last_round" and miner > 0
    if not in_turns or query_plan(session.store, pool.dataset, session.config).strategy != "folds":
        return (_scores(session, number, pool, reranker),)
    return tuple(
        _scores(session, number, replace(pool, fold=fold), _fold_miner(session, miner, fold))
        for fold in range(1, session.config.mining.folds + 1)
    )


def _fold_miner(session: Session, number: int, fold: int) -> ArtifactRef:
    """The reranker of an accepted round that was never trained on a fold's queries."""
    roles = (f"negatives_without_fold_{fold}", f"reranker_without_fold_{fold}")
    last = session.part(PREPARE)["reranker"]
    earlier: list[ArtifactRef] = []
    for accepted in [*accepted_before(session, number), number]:
        made, place = made_by(session, accepted), _fold_place(session, accepted, fold)
        dataset = session.part(PREPARE)["dataset"]
        negatives = call(leave_out_fold, place, dataset, made["negatives"], session.config, fold)
        last = train_on(session, place, accepted, last, negatives, earlier)
        earlier = [*earlier, negatives]
        session.record(round_part(accepted), **dict(zip(roles, (negatives, last), strict=True)))
    return last


def _fold_place(session: Session, number: int, fold: int) -> Place:
    place = session.place(round_part(number))
    return replace(place, part=f"{part_title(round_part(number))} without fold {fold}")


def _teacher_scores(session: Session, number: int, pool: RoundPool) -> ArtifactRef | None:
    """The teacher's scores of the whole window, as every negative may need one; or given ones."""
    shared = session.part(PREPARE)
    if given := shared.get("given_scores"):
        return given
    if "teacher" not in shared:
        return None
    place = replace(session.place(round_part(number)), part=f"round {number} · teacher")
    whole, tokens = replace(pool, whole=True), shared["teacher_tokens"]
    made: ArtifactRef = call(score, place, whole, tokens, shared["teacher"], session.config, number)
    return made


def _earlier_scores(
    session: Session, number: int, pool: RoundPool, before: int | None
) -> tuple[ArtifactRef, ...]:
    """The scores of the round before the last, where it judges and was trained."""
    if "earlier_round" not in session.config.mining.guard.judges or before is None:
        return ()
    return _scores_by(session, number, pool, before)


def _scores(session: Session, number: int, pool: RoundPool, reranker: ArtifactRef) -> ArtifactRef:
    place, tokens = session.place(round_part(number)), session.part(PREPARE)["tokens"]
    made: ArtifactRef = call(score, place, pool, tokens, reranker, session.config, number)
    return made
