"""The decision artifact: whether a round may mine the next one, or becomes the champion."""

from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.tasks.publishing import artifact_key
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("accept")
def accept(
    place: Place,
    challenger: ArtifactRef,
    previous: ArtifactRef,
    config: Config,
    *,
    names: tuple[str, str],
) -> Any:
    """Whether a round's fused ranking of dev is not inferior to that of the round before."""
    return _decide(
        place, "accept", (challenger, previous), config, names, ("fused", "fused"), "dev"
    )


@stage_task("promote")
def promote(
    place: Place,
    challenger: ArtifactRef,
    champion: ArtifactRef,
    config: Config,
    *,
    names: tuple[str, str],
    champion_ranking: str,
    split: str,
) -> Any:
    """Whether a challenger's fused ranking beats the champion's significantly.

    On gate, where production is decided, a config with `decision.approval` leaves it to a person.
    """
    rankings = ("fused", champion_ranking)
    return _decide(place, "promote", (challenger, champion), config, names, rankings, split)


def _decide(
    place: Place,
    stage: str,
    sides: tuple[ArtifactRef, ArtifactRef],
    config: Config,
    names: tuple[str, str],
    rankings: tuple[str, str],
    split: str,
) -> Any:
    rule = config.decision
    parameters = {
        "names": list(names),
        "rankings": list(rankings),
        "split": split,
        "alpha": rule.alpha,
        "tolerance": rule.tolerance,
        "metric": config.evaluation.metrics[0],
        "samples": config.evaluation.bootstrap_samples,
        "seed": config.seed,
    }
    approval = stage == "promote" and split == "gate" and rule.approval
    if approval:
        parameters["approval"] = True
    inputs = {"challenger": sides[0], "opponent": sides[1]}
    recipe = Recipe("decision", stage, 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.evaluation import decision
        from strop.pipeline.evaluation.metrics import metric_label, parse_metric

        store = place.open()
        contenders = [
            decision.Contender(name, ranking, store.table(side, "per_query"))
            for name, ranking, side in zip(names, rankings, sides, strict=True)
        ]
        made = {"accept": decision.accept, "promote": decision.promote}[stage](
            *contenders,
            split=split,
            seed=config.seed,
            rule=decision.DecisionRule(
                metric=metric_label(parse_metric(config.evaluation.metrics[0])),
                alpha=rule.alpha,
                tolerance=rule.tolerance,
                samples=config.evaluation.bootstrap_samples,
                approval=approval,
            ),
        )
        attempt.write_table("decision", decision.decision_table([made]))
        return {"verdict": made.verdict, "reason": made.reason}

    return carry_out(place, recipe, compute)


def ask_for_approval(place: Place, decision: ArtifactRef) -> None:
    """Show in Prefect's UI what a person has to decide on, and with which command."""
    if FlowRunContext.get() is None:
        return
    row = place.open().table(decision, "decision").to_pylist()[0]
    interval = f"[{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    text = (
        f"**{row['challenger']} of {place.run} awaits approval.**\n\n"
        f"| {row['metric']} on {row['split']} | |\n|---|---:|\n"
        f"| {row['challenger']} | {row['challenger_value']:.3f} |\n"
        f"| {row['opponent']} | {row['opponent_value']:.3f} |\n"
        f"| change [95 %] | {row['difference']:+.3f} {interval} |\n"
        f"| p | {row['p_value']:.4f} |\n| queries | {row['n']:,} |\n\n"
        f"Promote it with `strop promote {place.run}` or a deployment `promote-…` with run "
        f"`{place.run}`; the decision is artifact `{decision.id}`."
    )
    create_markdown_artifact(text, key=artifact_key(place.run, "approval"))


def verdict(store: Store, decision: ArtifactRef) -> tuple[str, str]:
    """A decision's verdict and the sentence that gives its reason."""
    row = store.table(decision, "decision").to_pylist()[0]
    return row["verdict"], row["reason"]
