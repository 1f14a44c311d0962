"""Whether the base can be trained as the config says, before anything is made."""

from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.tasks.models_by_name import model_by_name


def check_training(config: Config, store: Store) -> None:
    """Raise `InputError` for a training that would be refused after all the mining."""
    settings = config.training
    special = settings.lora or settings.frozen_layers or settings.gradient_checkpointing
    elsewhere = config.execution.report_to or config.execution.processes > 1
    anywhere = {settings.precision, config.reranker.precision} <= {"auto", "fp32"}
    if not special and anywhere and not elsewhere:
        return  # nothing that a model or a device may lack, and no libraries to load
    if _trained(Run(store, config.name)):
        return  # asked and seen already
    from strop.pipeline.training.trainability import check_trainable

    folder = model_by_name(store, config.reranker.base, "reranker.base")
    check_trainable(folder.path, config)


def _trained(run: Run) -> bool:
    """Whether a round of this run has its reranker; a run keeps its config."""
    rounds = (refs for part, refs in run.parts().items() if part.startswith("round"))
    return any("reranker" in refs for refs in rounds)
