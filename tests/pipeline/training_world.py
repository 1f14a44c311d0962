"""What the tests of training share: twelve queries, their groups, and a training of seconds."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from strop.artifacts.schemas import NEGATIVES
from strop.pipeline.config import Config
from strop.pipeline.progress import SILENT
from strop.pipeline.scoring.pairs import PairLimits, probe_template
from strop.pipeline.scoring.reranker import LoadedReranker, load_reranker
from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.training.arguments import training_arguments
from strop.pipeline.training.collator import GroupBatch, GroupCollator
from strop.pipeline.training.course import Course
from strop.pipeline.training.groups import plan_groups
from strop.pipeline.training.train import Trained, train
from strop.pipeline.training.trainer import GroupTrainer
from tests.world import COMMON, RARE, bert_tokenizer, pair_source

NUM_QUERIES = 12


def _texts(prefix: str, longest: int) -> dict[str, str]:
    random = np.random.default_rng(len(prefix))
    return {
        f"{prefix}{i}": " ".join([RARE[i], *random.choice(COMMON, random.integers(2, longest))])
        for i in range(NUM_QUERIES)
    }


QUERIES, PASSAGES = _texts("q", 4), _texts("passage", 25)


@cache
def source() -> PairSource:
    """The cached tokens of all texts."""
    return pair_source(bert_tokenizer(), QUERIES, PASSAGES)


@cache
def negatives() -> pa.Table:
    """Groups of 3 to 6 members: passage ``i`` is the positive of query ``i``."""
    random = np.random.default_rng(0)
    rows = []
    for query in range(NUM_QUERIES):
        others = [p for p in random.permutation(NUM_QUERIES).tolist() if p != query]
        mined = [
            {
                "passage_id": f"passage{p}",
                "score": 0,
                "rank": place + 1,
                "sampler": "top",
                "hardness": 0,
                "weight": 1 if place else 0.5,
                "first_stage_score": 5 - place,
                "teacher_score": -place,
            }
            for place, p in enumerate(others[: 2 + query % 4])
        ]
        positive = {
            "passage_id": f"passage{query}",
            "grade": 1,
            "first_stage_score": 4.5,
            "teacher_score": 1,
        }
        rows.append(
            {
                "query_id": f"q{query}",
                "positives": [positive],
                "negatives": mined,
                "group_size": len(mined) + 1,
                "difficulty": 0,
                "weight": 0.5 + query % 2,
            }
        )
    return pa.Table.from_pylist(rows, schema=NEGATIVES)


def config(*, rounds: int = 2, seed: int = 1, execution: Any = None, **training: Any) -> Config:
    """A run of small steps; ``training`` are fields of that section."""
    values = {"groups_per_step": 4, "learning_rate": 1e-3, **training}
    return Config.model_validate(
        {
            "rounds": rounds,
            "seed": seed,
            "reranker": {"max_tokens": 64, "max_query_tokens": 16},
            "mining": {"teacher": "a-teacher"},
            "evaluation": {"metrics": ["nDCG@10"], "depth": 10},
            "training": values,
            "execution": execution or {},
        }
    )


def fit(folder: Path, settings: Config, round_number: int = 1, **options: Any) -> Trained:
    """The reranker of a folder after one round on the groups of `negatives`."""
    loaded = load_reranker(folder)
    return train(loaded, negatives(), source(), settings, round_number=round_number, **options)


def weights(trained: Trained | LoadedReranker) -> dict[str, bytes]:
    """The bits of every weight."""
    reranker = trained.reranker if isinstance(trained, Trained) else trained
    return {name: w.numpy().tobytes() for name, w in reranker.model.state_dict().items()}


def collator(loaded: LoadedReranker, settings: Config) -> GroupCollator:
    """Puts the groups of round 1 together."""
    return GroupCollator(
        plan_groups(negatives(), source(), settings, round_number=1),
        source(),
        probe_template(loaded.tokenizer, PairLimits(64, 16)),
    )


def trainer_of(
    loaded: LoadedReranker, settings: Config, folder: Path, course: Course | None = None
) -> GroupTrainer:
    """A trainer whose single steps a test can look at."""
    return GroupTrainer(
        config=settings.training,
        collator=collator(loaded, settings),
        course=course or Course(factor=lambda step: 1.0),
        progress=SILENT,
        model=loaded.model,
        args=training_arguments(folder, settings.training, seed=1),
    )


def one_recorded_step(trainer: GroupTrainer, batch: GroupBatch) -> torch.Tensor:
    """The loss of a training step that is recorded, without an optimizer's step."""
    loss = trainer.training_step(trainer.model, {"groups": batch})
    trainer._maybe_log_save_evaluate(loss, 0.0, None, None, 0.0, None, 0.0, learning_rate=0.0)
    trainer.leave_layers()
    return loss


def without_dropout(loaded: LoadedReranker) -> LoadedReranker:
    """The model with every dropout off."""
    for module in loaded.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return loaded


def padded_scores(loaded: LoadedReranker, batch: GroupBatch) -> torch.Tensor:
    """The scores of all pairs of a step as one padded batch, written without strop's batches."""
    tokens, types = batch.pairs.tokens, batch.pairs.types
    assert types is not None
    padded = np.zeros((3, len(tokens), tokens.lengths.max()), np.int64)
    for index in range(len(tokens)):
        length = tokens.lengths[index]
        padded[0, index, :length] = tokens.row(index)
        padded[1, index, :length] = types.row(index)
        padded[2, index, :length] = 1
    ids, token_types, mask = torch.from_numpy(padded)
    output = loaded.model(input_ids=ids, token_type_ids=token_types, attention_mask=mask)
    return output.logits[:, 0]


def gradients(model: Any) -> dict[str, torch.Tensor]:
    """Copies of the gradients of all weights that have one."""
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
