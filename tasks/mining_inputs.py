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

    ``scores`` are the miner's, one table or one a fold; none where the first stage mines.
    ``ranking`` is the miner's ranking of dev, whose fusion weight says what mines; ``verdicts`` are
    what people said of earlier rounds' suspects.
    """

    pool: RoundPool
    ranking: ArtifactRef
    scores: tuple[ArtifactRef, ...] = ()
    teacher_scores: Optional = None
    earlier_scores: Optional = None
    verdicts: Optional = None

    def made(self) -> dict[str, ArtifactRef]:
        """The score tables and the verdicts by role."""
        roles = {
            **{f"scores_{number}": ref for number, ref in enumerate(self.scores, start=1)},
            "teacher_scores": self.teacher_scores,
            "earlier_scores": self.earlier_scores,
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
    by_stem = {
        stem: tuple(made[role] for role in sorted(made) if role.startswith(f"{stem}_"))
        for stem in ("pool", "scores")
    }
    return MiningInputs(
        pool=RoundPool(made["dataset"], made["candidates"], by_stem["pool"]),
        ranking=made.get("ranking", ranking),
        scores=by_stem["scores"],
        teacher_scores=made.get("teacher_scores"),
        earlier_scores=made.get("earlier_scores"),
        verdicts=made.get("verdicts"),
    )


def asks_for_probabilities(config: Mining) -> bool:
    """Whether a selection needs scores that are calibrated on dev."""
    return config.guard.rule == "probability" or config.suspects == "relabel"
