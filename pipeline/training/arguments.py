"""The arguments of transformers' Trainer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from strop.pipeline.config import Training
from strop.pipeline.scoring.dense_layers import products
from strop.pipeline.scoring.precision import resolved_precision


def training_arguments(
    folder: Path,
    config: Training,
    *,
    seed: int,
    report_to: Sequence[str] = (),
    run_name: str | None = None,
    processes: int = 1,
) -> TrainingArguments:
    """The Trainer's arguments: quiet, one optimizer step for every batch of groups, one device.

    With several ``processes``, each has one; see `ranks` for what they exchange.
    Checkpoints and measurements on dev are called for by strop's own callback, and steps logged by
    its trainer.
    """
    precision = resolved_precision(config.precision, "training.precision")
    arguments = TrainingArguments(
        output_dir=str(folder),
        run_name=run_name,
        per_device_train_batch_size=config.groups_per_step,
        num_train_epochs=1,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_gradient_norm,
        optim="adamw_torch_fused",
        seed=seed % 2**32,
        bf16=precision == "bf16" and products(precision) == torch.float32,
        fp16=precision == "fp16",
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=list(report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        **(_shared() if processes > 1 else {}),
    )
    # A step is one batch of groups for one device: several visible GPUs must not share it out.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _shared() -> dict[str, Any]:
    """What only processes that torchrun started can ask for."""
    return {
        "ddp_backend": "nccl" if torch.cuda.is_available() else "gloo",
        "save_on_each_node": True,  # the writer may have any rank
    }
