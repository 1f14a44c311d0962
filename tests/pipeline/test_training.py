from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from strop.artifacts.schemas import NEGATIVES, TRAIN_LOG
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT
from strop.pipeline.scoring.pairs import PairLimits, probe_template
from strop.pipeline.scoring.reranker import (
    LoadedReranker,
    initialise,
    load_reranker,
    save_reranker,
)
from strop.pipeline.scoring.scorer import PairSource, Scorer
from strop.pipeline.training.groups import plan_groups
from strop.pipeline.training.schedule import learning_rate_factor
from strop.pipeline.training.train import Trained, train, training_summary
from strop.pipeline.training.trainer import GroupCollator, GroupTrainer, training_arguments
from tests.world import COMMON, RARE, bert_tokenizer, pair_source

NUM_QUERIES = 12


def texts(prefix: str, longest: int) -> dict[str, str]:
    random = np.random.default_rng(len(prefix))
    return {
        f"{prefix}{i}": " ".join([RARE[i], *random.choice(COMMON, random.integers(2, longest))])
        for i in range(NUM_QUERIES)
    }


QUERIES, PASSAGES = texts("q", 4), texts("passage", 25)


@pytest.fixture(scope="module")
def source() -> PairSource:
    return pair_source(bert_tokenizer(), QUERIES, PASSAGES)


@pytest.fixture(scope="module")
def negatives() -> pa.Table:
    """Groups of 3 to 6 members: passage ``i`` is the positive of query ``i``."""
    random = np.random.default_rng(0)
    rows = []
    for query in range(NUM_QUERIES):
        others = [p for p in random.permutation(NUM_QUERIES).tolist() if p != query]
        mined = [
            {"passage_id": f"passage{p}", "score": 0, "rank": 1, "sampler": "top", "hardness": 0}
            for p in others[: 2 + query % 4]
        ]
        rows.append(
            {
                "query_id": f"q{query}",
                "positive_ids": [f"passage{query}"],
                "negatives": mined,
                "group_size": len(mined) + 1,
                "weight": 0.5 + query % 2,
            }
        )
    return pa.Table.from_pylist(rows, schema=NEGATIVES)


def config(**training: Any) -> Config:
    values = {"groups_per_step": 4, "learning_rate": 1e-3, **training}
    return Config.model_validate(
        {"rounds": 2, "reranker": {"max_tokens": 64, "max_query_tokens": 16}, "training": values}
    )


def fit(
    folder: Path, source: PairSource, negatives: pa.Table, settings: Config, round_number: int = 1
) -> Trained:
    return train(load_reranker(folder), negatives, source, settings, round_number=round_number)


def weights(trained: Trained) -> dict[str, bytes]:
    state = trained.reranker.model.state_dict()
    return {name: value.numpy().tobytes() for name, value in state.items()}


def one_batch_gradients(
    loaded: LoadedReranker, batch: Any, temperature: float
) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradients of a step as one padded batch, by PyTorch's own cross-entropy."""
    tokens, types = batch.pairs.tokens, batch.pairs.types
    width = tokens.lengths.max()
    padded = np.zeros((3, len(tokens), width), np.int64)
    for index in range(len(tokens)):
        length = tokens.lengths[index]
        padded[0, index, :length] = tokens.row(index)
        padded[1, index, :length] = types.row(index)
        padded[2, index, :length] = 1
    ids, token_types, mask = torch.from_numpy(padded)
    scores = loaded.model(input_ids=ids, token_type_ids=token_types, attention_mask=mask).logits
    losses = [
        torch.nn.functional.cross_entropy(
            scores[torch.from_numpy(batch.group_of_pair == group), 0] / temperature,
            torch.tensor(0),
        )
        * float(batch.weights[group])
        for group in range(len(batch.weights))
    ]
    loss = torch.stack(losses).mean()
    loss.backward()
    return loss.item(), [weight.grad.clone() for weight in loaded.model.parameters()]


@pytest.mark.parametrize(
    ("graph_tokens", "micro_batch_tokens", "parts"), [(64, 64, 6), (300, 64, 3), (65_536, 2048, 1)]
)
def test_a_step_has_the_gradient_of_one_padded_batch(
    reranker_folder: Path,
    tmp_path: Path,
    source: PairSource,
    negatives: pa.Table,
    graph_tokens: int,
    micro_batch_tokens: int,
    parts: int,
) -> None:
    settings = config(
        dropout=0.0,
        temperature=0.5,
        graph_tokens=graph_tokens,
        micro_batch_tokens=micro_batch_tokens,
        groups_per_step=6,
    )
    loaded = load_reranker(reranker_folder)
    for module in loaded.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    collator = GroupCollator(
        plan_groups(negatives, source, epochs=1, seed=1, round_number=1),
        source,
        probe_template(loaded.tokenizer, PairLimits(64, 16)),
    )
    batch = collator(list(range(6)))["groups"]
    loss, expected = one_batch_gradients(loaded, batch, temperature=0.5)
    loaded.model.zero_grad()
    trainer = GroupTrainer(
        config=settings.training,
        collator=collator,
        factor=lambda step: 1.0,
        progress=SILENT,
        model=loaded.model,
        args=training_arguments(tmp_path, settings.training, seed=1),
    )
    found_parts = list(trainer._parts(batch))
    assert np.concatenate(found_parts).tolist() == list(range(6))
    assert len(found_parts) == parts
    found = trainer.training_step(loaded.model, {"groups": batch})
    assert found.item() == pytest.approx(loss, abs=1e-5)
    assert max(gradient.abs().max() for gradient in expected) > 1e-2
    for weight, gradient in zip(loaded.model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    first = weights(fit(reranker_folder, source, negatives, config()))
    torch.manual_seed(77)  # the state that other code leaves behind must not matter
    assert weights(fit(reranker_folder, source, negatives, config())) == first


def test_the_seed_decides_what_dropout_leaves_out(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    one_group, other = negatives.slice(0, 1), config().model_copy(update={"seed": 2})
    first = weights(fit(reranker_folder, source, one_group, config()))
    assert weights(fit(reranker_folder, source, one_group, config())) == first
    assert weights(fit(reranker_folder, source, one_group, other)) != first


def test_the_loss_goes_down_and_the_positives_come_first(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    settings = config(epochs=30, learning_rate=5e-3, dropout=0.0, schedule="constant")
    trained = fit(reranker_folder, source, negatives, settings)
    summary = training_summary(trained.log)
    assert summary["loss_last"] < 0.5 * summary["loss_first"]
    scorer = Scorer(trained.reranker, source, settings.reranker)
    rows = np.arange(NUM_QUERIES)
    mined = negatives["negatives"].to_pylist()
    best = [int(items[0]["passage_id"].removeprefix("passage")) for items in mined]
    assert (scorer.score_rows(rows, rows) > scorer.score_rows(rows, np.asarray(best))).mean() > 0.9


def test_the_log_has_a_row_a_step_with_everything_that_was_trained(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    trained = fit(reranker_folder, source, negatives, config(epochs=3, groups_per_step=5))
    log = trained.log
    assert log.schema == TRAIN_LOG
    # 3 epochs of 12 groups are 36, in steps of 5: seven full steps and one of 1.
    assert log["step"].to_pylist() == list(range(1, 9))
    assert log["groups"].to_pylist() == [5] * 7 + [1]
    assert log["epoch"].to_pylist() == pytest.approx([3 * step / 8 for step in range(1, 9)])
    members = sum(negatives["group_size"].to_pylist())
    summary = training_summary(log)
    assert summary["pairs"] == sum(log["pairs"].to_pylist()) == 3 * members
    assert summary["steps"] == 8
    assert min(log["gradient_norm"].to_pylist()) > 0
    assert min(log["tokens"].to_numpy() / log["pairs"].to_numpy()) > 8


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_learning_rates_follow_one_schedule_over_the_rounds(
    reranker_folder: Path, source: PairSource, negatives: pa.Table, schedule: str
) -> None:
    settings = config(schedule=schedule, warmup_share=0.3)
    found = [
        rate
        for number in (1, 2)
        for rate in fit(reranker_folder, source, negatives, settings, number).log["learning_rate"]
    ]
    factor = learning_rate_factor(settings.training, round_number=1, rounds=1, steps=6)
    expected = [1e-3 * factor(step) for step in range(6)]
    assert [rate.as_py() for rate in found] == pytest.approx(expected, rel=1e-5)


def test_frozen_layers_stay_as_they_are(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    before = weights(Trained(load_reranker(reranker_folder), pa.table({})))
    after = weights(fit(reranker_folder, source, negatives, config(frozen_layers=1)))
    changed = {name for name in before if before[name] != after[name]}
    kept = {name for name in before if "embeddings" in name or "layer.0." in name}
    assert changed == before.keys() - kept
    with pytest.raises(InputError, match=r"training\.frozen_layers = 2: the model has 2 layers"):
        fit(reranker_folder, source, negatives, config(frozen_layers=2))


def test_without_negatives_there_is_nothing_to_train(
    reranker_folder: Path, source: PairSource, negatives: pa.Table
) -> None:
    with pytest.raises(InputError, match="round 2: no query has a negative to train on"):
        fit(reranker_folder, source, negatives.slice(0, 0), config(), 2)


def test_every_reader_of_the_saved_folder_finds_the_same_logits(
    bi_encoder_folder: Path, tmp_path: Path, source: PairSource, negatives: pa.Table
) -> None:
    loaded, fresh = initialise(bi_encoder_folder, "base", seed=1, trust_remote_code=False)
    assert fresh
    settings = config()
    trained = train(loaded, negatives, source, settings, round_number=1)
    save_reranker(trained.reranker, tmp_path, max_tokens=64, card="# Card\n")
    rows = np.arange(NUM_QUERIES)
    ours = Scorer(load_reranker(tmp_path), source, settings.reranker).score_rows(rows, rows[::-1])
    pairs = list(zip(QUERIES.values(), reversed(PASSAGES.values()), strict=True))
    peer = CrossEncoder(str(tmp_path), device="cpu")
    assert peer.max_seq_length == 64
    np.testing.assert_allclose(peer.predict(pairs, show_progress_bar=False), ours, atol=1e-5)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path)(
        *map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        np.testing.assert_allclose(model(**inputs).logits[:, 0].numpy(), ours, atol=1e-5)
    assert np.ptp(ours) > 1e-3
    assert (tmp_path / "README.md").read_text() == "# Card\n"
