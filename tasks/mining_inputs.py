"""What a round is mined from: its pool, the scores of all models, and what people said."""

from dataclasses import dataclass

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Mining
from strop.tasks.round_pool import RoundPool

Optional = ArtifactRef | None


@dataclass(frozen=True)
class MiningInputs:
    """What a round is mined from.

    ``scores`` are the miner's, one table or one a fold; none where the first stage mines. So are
    ``earlier_scores``, of the round before that.
    ``ranking`` is the miner's ranking of dev, whose fusion weight says what mines; ``verdicts`` are
    what people said of earlier rounds' suspects.
    """

    pool: RoundPool
    ranking: ArtifactRef
    scores: tuple[ArtifactRef, ...] = ()
    teacher_scores: Optional = None
    earlier_scores: tuple[ArtifactRef, ...] = ()
    verdicts: Optional = None

    def made(self) -> dict[str, ArtifactRef]:
        """The score tables and the verdicts by role."""
        roles = {
            **{f"scores_{number}": ref for number, ref in enumerate(self.scores, start=1)},
            "teacher_scores": self.teacher_scores,
            **{f"earlier_scores_{n}": ref for n, ref in enumerate(self.earlier_scores, start=1)},
            "verdicts": self.verdicts,
        }
        return {role: ref for role, ref in roles.items() if ref is not None}

    def refs(self, config: Mining) -> dict[str, ArtifactRef]:
        """The inputs by role; the ranking is one where something is read off it."""
        read = self.scores or asks_for_probabilities(config)
        ranking = {"ranking": self.ranking} if read else {}
        return {**self.pool.refs(), **ranking, **self.made()}


def inputs_of_selection(store: Store, selection: ArtifactRef, ranking: ArtifactRef) -> MiningInputs:
    """What a selection was mined from; ``ranking`` is dev's where it read none."""
    made = store.manifest(selection).inputs
    return MiningInputs(
        pool=RoundPool(made["dataset"], made["candidates"], _numbered(made, "pool")),
        ranking=made.get("ranking", ranking),
        scores=_numbered(made, "scores"),
        teacher_scores=made.get("teacher_scores"),
        earlier_scores=_numbered(made, "earlier_scores"),
        verdicts=made.get("verdicts"),
    )


def _numbered(made: dict[str, ArtifactRef], stem: str) -> tuple[ArtifactRef, ...]:
    """The inputs of the roles ``stem_1``, ``stem_2`` … in this order, or the one of ``stem``."""
    numbers = [int(role.removeprefix(f"{stem}_")) for role in made if role.startswith(f"{stem}_")]
    alone = (made[stem],) if stem in made else ()
    return alone + tuple(made[f"{stem}_{number}"] for number in sorted(numbers))


def asks_for_probabilities(config: Mining) -> bool:
    """Whether a selection needs scores that are calibrated on dev."""
    return config.guard.rule == "probability" or config.suspects == "relabel"
