"""FlagEmbedding's side of every comparison."""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from protocol import Job, StepEnds, by_model, read_lines, serve, write_lines


def scoring(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """`FlagReranker.compute_score`.

    On a CPU in batches of 16: it runs its first batch twice to see whether it fits, which would
    weigh more in a short measurement than in a long mining; its default of 128 is slower besides.
    """
    from FlagEmbedding import FlagReranker

    model = FlagReranker(
        str(folder / "model"),
        use_fp16=settings.get("half", False),
        devices=[settings.get("device", "cpu")],
        query_max_length=settings["max_query"],
        max_length=settings["max_tokens"],
        batch_size=settings.get("batch_size", 16),
    )
    pairs = [tuple(pair) for pair in read_lines(folder / "pairs.jsonl")]

    def run(limit: int | None = None) -> dict[str, Any]:
        return {"scores": [float(score) for score in model.compute_score(pairs[:limit])]}

    return {"run": run}


def training(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """FlagEmbedding's reranker runner, which trains on a JSON-lines file."""
    import torch
    from FlagEmbedding.abc.finetune.reranker import (
        AbsRerankerDataArguments,
        AbsRerankerModelArguments,
        AbsRerankerTrainingArguments,
    )
    from FlagEmbedding.finetune.reranker.encoder_only.base import EncoderOnlyRerankerRunner

    groups = read_lines(folder / "groups.jsonl")
    size = len(groups[0]["texts"])

    def run(limit: int | None = None) -> dict[str, Any]:
        losses: list[torch.Tensor] = []
        data, chosen = folder / f"flagembedding-{limit}.jsonl", groups[:limit]
        write_lines(
            data,
            [{"query": g["query"], "pos": g["texts"][:1], "neg": g["texts"][1:]} for g in chosen],
        )
        with tempfile.TemporaryDirectory() as output:
            runner = EncoderOnlyRerankerRunner(
                AbsRerankerModelArguments(model_name_or_path=str(folder / "model")),
                AbsRerankerDataArguments(
                    train_data=[str(data)],
                    train_group_size=size,
                    query_max_len=settings["max_query"],
                    passage_max_len=settings["max_tokens"] - settings["max_query"],
                    cache_path=str(folder / "cache"),
                ),
                AbsRerankerTrainingArguments(
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
                    bf16=settings.get("half", False),
                    remove_unused_columns=False,
                ),
            )
            for module in runner.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
                for name, value in list(vars(module).items()):
                    if "dropout" in name and isinstance(value, float):  # attention's is a number
                        setattr(module, name, 0.0)
            trainer = runner.trainer
            trainer._get_train_sampler = lambda *rest: torch.utils.data.SequentialSampler(
                runner.train_dataset
            )
            step = trainer.training_step

            def kept_step(*given: Any, **named: Any) -> torch.Tensor:
                losses.append(step(*given, **named))
                return losses[-1]

            trainer.training_step = kept_step
            started = time.perf_counter()
            with StepEnds() as ends:
                trainer.train()
            stepping = time.perf_counter() - started
        return {
            "losses": [float(loss) for loss in losses],
            "pairs": size * len(chosen),
            "stepping": stepping,
            "after_first": ends.after_first(),
        }

    return {"run": run}


def mining(folder: Path, settings: dict[str, Any]) -> dict[str, Job]:
    """FlagEmbedding's scripts `hn_mine.py` and `add_reranker_score.py`.

    They keep all candidates and their scores; which of them are taken is chosen afterwards, as the
    other sides do: the highest that score no more than the positive.
    """
    from FlagEmbedding import FlagAutoModel, FlagReranker

    sys.path.insert(0, settings["scripts"])
    import add_reranker_score
    import hn_mine

    encoder = FlagAutoModel.from_finetuned(
        settings["bi_encoder"],
        model_class="encoder-only-base",
        pooling_method="mean",
        use_fp16=False,
        devices=["cpu"],
        batch_size=32,
        query_max_length=settings["encoder_tokens"],
        passage_max_length=settings["encoder_tokens"],
    )
    reranker = FlagReranker(
        str(folder / "model"),
        use_fp16=False,
        devices=["cpu"],
        query_max_length=settings["max_query"],
        max_length=settings["max_tokens"],
        batch_size=32,
    )
    # The script loads a reranker at every call; all sides have theirs loaded already.
    add_reranker_score.FlagAutoReranker.from_finetuned = lambda **options: reranker
    corpus, queries = read_lines(folder / "corpus.jsonl"), read_lines(folder / "queries.jsonl")

    def run(limit: int | None = None) -> dict[str, Any]:
        passages = corpus[: 4 * limit] if limit else corpus
        asked = [query for query in queries if query["positive"] < len(passages)]
        depth = min(settings["depth"], len(passages))
        given, pool, mined, scored = (
            folder / f"flagembedding-{name}.jsonl" for name in ("given", "pool", "mined", "scored")
        )
        write_lines(pool, [{"text": text} for text in passages])
        write_lines(
            given,
            [{"query": q["text"], "pos": [passages[q["positive"]]], "neg": []} for q in asked],
        )
        hn_mine.find_knn_neg(
            encoder,
            str(given),
            str(mined),
            str(pool),
            sample_range=[0, depth],
            negative_number=depth - 1,
        )
        add_reranker_score.main(
            add_reranker_score.ScoreArgs(input_file=str(mined), output_file=str(scored)),
            add_reranker_score.ModelArgs(use_fp16=False),
        )
        chosen = {}
        for row in read_lines(scored):
            below = [
                (score, text)
                for text, score in zip(row["neg"], row["neg_scores"], strict=True)
                if score <= row["pos_scores"][0]
            ]
            below.sort(key=lambda pair: -pair[0])
            chosen[row["query"]] = [text for _, text in below[: settings["negatives"]]]
        return {"chosen": chosen}

    return {"run": run}


STEPS = {"scoring": scoring, "training": training, "mining": mining}


def load(folder: Path) -> dict[str, Job]:
    """The jobs of the step that the folder is for."""
    settings = json.loads((folder / "settings.json").read_bytes())
    if settings["step"] == "gpu":
        return by_model(STEPS, folder)
    return STEPS[settings["step"]](folder, settings)


if __name__ == "__main__":
    serve(load, ("FlagEmbedding", "torch", "transformers"))
