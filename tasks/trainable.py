"""Whether the base can be trained as the config says, before anything is made."""

from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.tasks.models_by_name import model_by_name


def check_training(config: Config, store: Store) -> None:
    """Raise `InputError` for a training that would be refused after all the mining."""
    settings = config.training
    special = settings.lora or settings.frozen_layers or settings.gradient_checkpointing
    elsewhere = config.execution.report_to or config.execution.processes > 1
    if not special and settings.precision in ("auto", "fp32") and not elsewhere:
        return  # nothing that a model or a device may lack, and no libraries to load
    from strop.pipeline.training.trainability import check_trainable

    check_trainable(model_by_name(store, config.reranker.base).path, config)
