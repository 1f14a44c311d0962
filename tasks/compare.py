"""The comparison artifact: arms of an experiment beside each other."""

from dataclasses import dataclass
from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.stage import Place, carry_out, stage_task


@dataclass(frozen=True)
class ArmRefs:
    """What one arm made at one seed, by round.

    ``final`` is the last accepted round and ``final_metrics`` are its; ``metrics`` are dev's by
    round. ``rerankers`` are the round's and those of its folds, ``scores`` all that mined or judged
    it.
    """

    name: str
    seed: int
    final: int
    final_metrics: ArtifactRef
    metrics: dict[int, ArtifactRef]
    rerankers: dict[int, list[ArtifactRef]]
    scores: dict[int, list[ArtifactRef]]

    def roles(self) -> dict[str, ArtifactRef]:
        """Every ref by a role that is unique."""
        arm = f"{self.name} seed {self.seed}"
        found = {f"{arm} metrics {number}": ref for number, ref in self.metrics.items()}
        found[f"{arm} final metrics"] = self.final_metrics
        for kind, refs_by_round in (("reranker", self.rerankers), ("scores", self.scores)):
            for number, refs in refs_by_round.items():
                found |= {f"{arm} {kind} {number}.{place}": ref for place, ref in enumerate(refs)}
        return found


@stage_task("compare")
def compare_arms(place: Place, arms: list[ArmRefs], config: Config, opponent: str) -> Any:
    """Every arm's rounds, and the final ones against the opponent's."""
    inputs = {role: ref for arm in arms for role, ref in arm.roles().items()}
    metric, samples = config.evaluation.metrics[0], config.evaluation.bootstrap_samples
    parameters = {
        "arms": [[arm.name, arm.seed, arm.final] for arm in arms],
        "opponent": opponent,
        "metric": metric,
        "samples": samples,
        "seed": config.seed,
    }
    recipe = Recipe("comparison", "compare", 2, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation.comparison import arms_table, differences_table
        from strop.pipeline.evaluation.metrics import metric_label, parse_metric

        store = place.open()
        read = [_read(store, arm) for arm in arms]
        differences = differences_table(
            read,
            opponent=opponent,
            metric=metric_label(parse_metric(metric)),
            seed=config.seed,
            samples=samples,
        )
        attempt.write_table("arms", arms_table(read))
        attempt.write_table("differences", differences)
        fused = [row for row in differences.to_pylist() if row["ranking"] == "fused"]
        split = differences["split"][0].as_py()
        return {"split": split, **{row["arm"]: float(row["value"]) for row in fused}}

    return carry_out(place, recipe, compute)


def _read(store: Store, arm: ArmRefs) -> Any:
    from strop.pipeline.evaluation.comparison import Arm

    def pairs(refs: dict[int, list[ArtifactRef]]) -> dict[int, int]:
        return {
            number: sum(int(store.manifest(ref).summary["pairs"]) for ref in made)
            for number, made in refs.items()
        }

    return Arm(
        arm.name,
        arm.seed,
        arm.final,
        store.table(arm.final_metrics, "per_query"),
        {number: store.table(ref, "per_query") for number, ref in arm.metrics.items()},
        pairs(arm.rerankers),
        pairs(arm.scores),
    )
