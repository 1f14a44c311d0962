"""The reranker artifact: the last reranker fine-tuned on this round's groups."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.pipeline.training.model_card import model_card
from strop.tasks.score import scoring_parameters
from strop.tasks.stage import Place, carry_out, stage_task
from strop.tasks.training_inputs import TrainingInputs
from strop.tasks.training_process import Job, train_together

NEGATIVES = "negatives.parquet"


@stage_task("train")
def train(place: Place, inputs: TrainingInputs, config: Config, number: int) -> Any:
    """Train a reranker on the negatives of one round."""
    # Dev was measured in the training's precision once, and chose the weights to keep; a CPU's bf16
    # was PyTorch's autocast.
    precision = config.training.precision
    measured = config.training.evaluate_every and precision != "fp32"
    version = 9 if precision == "bf16" else 8 if measured else 7
    recipe = Recipe("reranker", "train", version, _parameters(config, number), inputs.refs())

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.training.train import training_summary

        store = place.open()
        job = Job(store.location, inputs, config, number)
        around = _surroundings(store, recipe, config, progress)
        trained = _trained(job, around, attempt, store.work_folder(recipe))
        summary: dict[str, Any] = training_summary(trained)
        card = model_card(
            config,
            round_number=number,
            lineage=_lineage(store, inputs.refs()),
            queries=store.manifest(inputs.negatives).files[NEGATIVES].rows or 0,
            summary=summary,
        )
        _write(attempt, trained, config, card)
        return summary

    return carry_out(place, recipe, compute, gpu_slot=config.execution.gpu_slot)


def _trained(job: Job, surroundings: Any, attempt: Attempt, work: Path) -> Any:
    """The reranker, trained here or by processes of its own."""
    execution = job.config.execution
    if execution.trainers == 1:
        return job.train(surroundings)
    attempt.execution.update(processes=execution.processes, nodes=execution.nodes)
    with TemporaryDirectory(prefix="processes-", dir=work) as folder:
        return train_together(job, Path(folder), surroundings)


def _surroundings(store: Store, recipe: Recipe, config: Config, progress: Progress) -> Any:
    """Where checkpoints and trackers' files go; the store's, so that another process finds them."""
    from strop.pipeline.training.train import Surroundings

    steps, tracked = config.execution.checkpoint_steps, bool(config.execution.report_to)
    return Surroundings(
        checkpoints=None if steps is None else store.work_folder(recipe),
        tracking=store.local / "tracking" / recipe.id if tracked else None,
        progress=progress,
    )


def _write(attempt: Attempt, trained: Any, config: Config, card: str) -> None:
    """The model folder with its card, and what was logged on the way."""
    from strop.pipeline.scoring.reranker import save_reranker

    limit = config.reranker.max_tokens
    save_reranker(trained.reranker, attempt.folder, max_tokens=limit, card=card)
    attempt.write_table("train_log", trained.log)
    if trained.dev_log is not None:
        attempt.write_table("dev_log", trained.dev_log)


def _parameters(config: Config, number: int) -> dict[str, Any]:
    """The identity parameters; what a round starts from is told by the inputs."""
    names = {"max_tokens", "max_query_tokens", "trust_remote_code"}
    settings, course = config.training, config.mining.curriculum.epoch
    measured = {
        "metric": config.evaluation.metrics[0],
        "depth": config.evaluation.depth,
        **scoring_parameters(config),
        **({"measured": "with the first stage"} if settings.residual_weight else {}),
    }
    return {
        **settings.model_dump(mode="json", exclude={"start"}),
        **config.reranker.model_dump(mode="json", include=names),
        **(measured if settings.evaluate_every is not None else {}),
        "epoch_order": course,
        **({"warm_start": "any round"} if settings.warm_start_share and number > 1 else {}),
        **({"cut": "at random"} if course != "none" and settings.pairs_per_round else {}),
        "seed": config.seed,
        "round": number,
        "rounds": config.rounds,
    }


def _lineage(store: Store, inputs: dict[str, ArtifactRef]) -> dict[str, str]:
    """The names of the artifacts that the training came from, by role."""
    dataset = inputs.get("dataset") or store.manifest(inputs["negatives"]).inputs.get("dataset")
    roles = {**({"dataset": dataset} if dataset else {}), **inputs}
    return {role: f"{ref.kind} {ref.id}" for role, ref in roles.items()}
