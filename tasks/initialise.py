"""The untuned reranker: the base model, with a fresh one-logit head where it has none."""

from typing import Any

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Reranker
from strop.pipeline.errors import InputError
from strop.pipeline.models import require_unchanged
from strop.pipeline.progress import Progress
from strop.tasks.models_by_name import model_by_name
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("initialise")
def initialise(place: Place, base: ArtifactRef, config: Reranker, seed: int) -> Any:
    """Make reranker(0); the summary says whether its head is fresh."""
    parameters = {
        "seed": seed,
        "max_tokens": config.max_tokens,
        **({"replace_head": True} if config.replace_head else {}),
    }
    recipe = Recipe("reranker", "initialise", 1, parameters, {"base": base})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.scoring import reranker

        store = place.open()
        folder = model_by_name(store, config.base, None)
        require_unchanged(folder, store.manifest(base).parameters["files"])
        loaded, fresh = reranker.initialise(
            folder.path,
            config.base,
            seed=seed,
            trust_remote_code=config.trust_remote_code,
            replace_head=config.replace_head,
        )
        reranker.check_positions(loaded, config.base, config.max_tokens)
        card = f"# Untuned reranker\n\nstrop artifact `model {base.id}` before its first round.\n"
        reranker.save_reranker(loaded, attempt.folder, max_tokens=config.max_tokens, card=card)
        return {"base": config.base, "fresh_head": fresh, "parameters": loaded.num_parameters}

    return carry_out(place, recipe, compute)


def require_head(fresh: bool, what: str) -> None:
    """Raise `InputError` for a model without a trained head."""
    if fresh:
        raise InputError(f"{what}: has no trained head with one logit, expected a reranker")
