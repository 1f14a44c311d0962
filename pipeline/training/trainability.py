"""Whether a base model can be trained as the config says, asked before any work is done."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.integrations import get_reporting_integration_callbacks

from strop.pipeline.config import Config
from strop.pipeline.errors import InputError, counted
from strop.pipeline.scoring.precision import resolved_precision
from strop.pipeline.training import adapters
from strop.pipeline.training.preparation import freeze, recompute_layers


def check_trainable(base: Path, config: Config) -> None:
    """Raise `InputError`, naming the key, for what the model, device or installation cannot do.

    Looked at are both precisions, LoRA's modules and peft itself, frozen layers, recomputed layers
    and trackers. The model is built from its config, without weights.
    """
    settings = config.training
    resolved_precision(settings.precision, "training.precision")
    if config.execution.runner == "local":  # elsewhere workers score, on devices of their own
        resolved_precision(config.reranker.precision, "reranker.precision")
    check_devices(config.execution.processes)
    check_trackers(config.execution.report_to)
    if not (settings.lora or settings.frozen_layers or settings.gradient_checkpointing):
        return
    model = without_weights(base, trust_remote_code=config.reranker.trust_remote_code)
    if settings.lora is not None:
        adapters.add_adapters(model, settings.lora, seed=config.seed)
    freeze(model, settings.frozen_layers)
    if settings.gradient_checkpointing:
        recompute_layers(model)


def check_devices(processes: int) -> None:
    """Raise `InputError` when this host has GPUs, but not one for each of its processes."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else processes
    if processes > found:
        raise InputError(
            f"execution.processes = {processes}: this host has {counted(found, 'GPUs')}, and each "
            f"process takes one; expected {found} at most"
        )


def check_trackers(report_to: tuple[str, ...]) -> None:
    """Raise `InputError` for a tracker that is unknown or not installed."""
    try:
        # `none` and `all` are words for whole lists, and stand alone.
        named = report_to[0] if len(report_to) == 1 else list(report_to)
        for tracker in get_reporting_integration_callbacks(named):
            tracker()
    except (ImportError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"execution.report_to = {', '.join(report_to)}: {reason}") from error


def without_weights(base: Path, *, trust_remote_code: bool) -> Any:
    """A one-logit model of the base's architecture that holds no numbers.

    Raises `InputError` when transformers knows no such architecture.
    """
    try:
        config = AutoConfig.from_pretrained(base, num_labels=1, trust_remote_code=trust_remote_code)
        with torch.device("meta"):
            return AutoModelForSequenceClassification.from_config(
                config, trust_remote_code=trust_remote_code
            )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"reranker.base {base.name!r}: cannot be loaded ({reason})") from error
