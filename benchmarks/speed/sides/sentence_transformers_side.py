"""sentence-transformers' side of every comparison."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from protocol import Job, StepEnds, by_model, read_lines, serve

ONE_HOT = 1000.0
"""A positive's label: ListNet's target is the labels' softmax, which is one-hot with this and 0."""


def scoring(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """`CrossEncoder.predict`, on a CPU with its default batches."""
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(
        str(folder / "model"),
        max_length=settings["max_tokens"],
        device=settings.get("device", "cpu"),
        model_kwargs={"dtype": torch.bfloat16 if settings.get("half", False) else torch.float32},
    )
    pairs = [tuple(pair) for pair in read_lines(folder / "pairs.jsonl")]

    def run(limit: int | None = None) -> dict[str, Any]:
        scores = model.predict(
            pairs[:limit], batch_size=settings.get("batch_size", 32), show_progress_bar=False
        )
        return {"scores": scores.tolist()}

    return {"run": run}


def encoding(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """`SentenceTransformer.encode`, on a CPU with its default batches."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        settings["bi_encoder"],
        device=settings.get("device", "cpu"),
        model_kwargs={"dtype": torch.bfloat16 if settings.get("half", False) else torch.float32},
    )
    model.max_seq_length = settings["encoder_tokens"]
    texts = read_lines(folder / "texts.jsonl")

    def run(limit: int | None = None) -> dict[str, Any]:
        started = time.perf_counter()
        found = model.encode(
            texts[:limit],
            batch_size=settings.get("batch_size", 32),
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        spent = time.perf_counter() - started
        np.save(folder / "sentence-transformers.npy", found)
        return {"stepping": spent}

    return {"run": run}


def training(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """`CrossEncoderTrainer` with the listwise softmax loss over groups of texts."""
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    groups = read_lines(folder / "groups.jsonl")

    class InOrder(CrossEncoderTrainer):  # type: ignore[misc]
        """Takes the groups in their order, and keeps the loss of every step."""

        losses: list[torch.Tensor]

        def get_batch_sampler(self, dataset: Any, batch_size: int, **rest: Any) -> Any:
            from sentence_transformers.base.sampler import DefaultBatchSampler

            return DefaultBatchSampler(
                torch.utils.data.SequentialSampler(dataset), batch_size=batch_size, drop_last=False
            )

        def training_step(self, *given: Any, **named: Any) -> torch.Tensor:
            loss: torch.Tensor = super().training_step(*given, **named)
            self.losses.append(loss.detach())
            return loss

    def run(limit: int | None = None) -> dict[str, Any]:
        model = CrossEncoder(
            str(folder / "model"),
            max_length=settings["max_tokens"],
            device=settings.get("device", "cpu"),
        )
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        data = Dataset.from_list(
            [
                {
                    "query": group["query"],
                    "docs": group["texts"],
                    "labels": [ONE_HOT] + [0.0] * (len(group["texts"]) - 1),
                }
                for group in groups[:limit]
            ]
        )
        with tempfile.TemporaryDirectory() as output:
            trainer = InOrder(
                model=model,
                args=CrossEncoderTrainingArguments(
                    output_dir=output,
                    per_device_train_batch_size=settings["groups_per_step"],
                    num_train_epochs=1,
                    learning_rate=settings["learning_rate"],
                    weight_decay=0.01,
                    lr_scheduler_type="constant",
                    save_strategy="no",
                    logging_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                    use_cpu=settings.get("device", "cpu") == "cpu",
                    fp16=False,
                    bf16=settings.get("half", False),
                ),
                train_dataset=data,
                loss=ListNetLoss(model),
            )
            trainer.losses = []
            started = time.perf_counter()
            with StepEnds() as ends:
                trainer.train()
            stepping = time.perf_counter() - started
        pairs = sum(len(group["texts"]) for group in groups[:limit])
        return {
            "losses": [float(loss) for loss in trainer.losses],
            "pairs": pairs,
            "stepping": stepping,
            "after_first": ends.after_first(),
        }

    return {"run": run}


def mining(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """`mine_hard_negatives` with a cross-encoder and margin 0."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    encoder = SentenceTransformer(settings["bi_encoder"], device="cpu")
    encoder.max_seq_length = settings["encoder_tokens"]
    model = CrossEncoder(str(folder / "model"), max_length=settings["max_tokens"], device="cpu")
    corpus, queries = read_lines(folder / "corpus.jsonl"), read_lines(folder / "queries.jsonl")

    def run(limit: int | None = None) -> dict[str, Any]:
        passages = corpus[: 4 * limit] if limit else corpus
        asked = [query for query in queries if query["positive"] < len(passages)]
        found = mine_hard_negatives(
            Dataset.from_dict(
                {
                    "anchor": [query["text"] for query in asked],
                    "positive": [passages[query["positive"]] for query in asked],
                }
            ),
            encoder,
            corpus=passages,
            cross_encoder=model,
            range_max=min(settings["depth"], len(passages)) - 1,
            absolute_margin=0.0,
            num_negatives=settings["negatives"],
            sampling_strategy="top",
            use_faiss=True,
            output_format="triplet",
            verbose=False,
        )
        chosen: dict[str, list[str]] = {query["text"]: [] for query in asked}
        for anchor, negative in zip(found["anchor"], found["negative"], strict=True):
            chosen[anchor].append(negative)
        return {"chosen": chosen}

    return {"run": run}


STEPS = {"scoring": scoring, "encoding": encoding, "training": training, "mining": mining}


def load(folder: Path) -> dict[str, Job]:
    """The jobs of the step that the folder is for."""
    settings = json.loads((folder / "settings.json").read_bytes())
    if settings["step"] == "gpu":
        return by_model(STEPS, folder)
    return STEPS[settings["step"]](folder, settings)


if __name__ == "__main__":
    serve(load, ("sentence-transformers", "torch", "transformers"))
