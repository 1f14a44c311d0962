from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ElectraConfig,
    ElectraForSequenceClassification,
)

from strop.artifacts.schemas import TRAIN_LOG
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import initialise, load_reranker, save_reranker
from strop.pipeline.scoring.scorer import Scorer
from strop.pipeline.training.preparation import freeze
from strop.pipeline.training.schedule import learning_rate_factor
from strop.pipeline.training.train import train, training_summary
from tests.pipeline.training_world import (
    NUM_QUERIES,
    PASSAGES,
    QUERIES,
    config,
    fit,
    negatives,
    source,
    weights,
)


def test_the_same_seed_gives_the_same_bits(reranker_folder: Path) -> None:
    first = weights(fit(reranker_folder, config()))
    torch.manual_seed(77)  # the state that other code leaves behind must not matter
    assert weights(fit(reranker_folder, config())) == first


def test_the_seed_decides_what_dropout_leaves_out(reranker_folder: Path) -> None:
    def bits(seed: int) -> dict[str, bytes]:
        loaded, settings = load_reranker(reranker_folder), config(seed=seed)
        one_group = negatives().slice(0, 1)
        return weights(train(loaded, one_group, source(), settings, round_number=1))

    assert bits(1) == bits(1)
    assert bits(1) != bits(2)


def test_the_loss_goes_down_and_the_positives_come_first(reranker_folder: Path) -> None:
    settings = config(epochs=30, learning_rate=5e-3, dropout=0.0, schedule="constant")
    trained = fit(reranker_folder, settings)
    summary = training_summary(trained)
    assert summary["loss_last"] < 0.5 * summary["loss_first"]
    scorer = Scorer(trained.reranker, source(), settings.reranker)
    rows = np.arange(NUM_QUERIES)
    mined = negatives()["negatives"].to_pylist()
    best = [int(items[0]["passage_id"].removeprefix("passage")) for items in mined]
    assert (scorer.score_rows(rows, rows) > scorer.score_rows(rows, np.asarray(best))).mean() > 0.9


def test_the_log_has_a_row_a_step_with_everything_that_was_trained(reranker_folder: Path) -> None:
    trained = fit(reranker_folder, config(epochs=3, groups_per_step=5))
    log = trained.log
    assert log.schema == TRAIN_LOG
    # 3 epochs of 12 groups are 36, in steps of 5: seven full steps and one of 1.
    assert log["step"].to_pylist() == list(range(1, 9))
    assert log["groups"].to_pylist() == [5] * 7 + [1]
    assert log["epoch"].to_pylist() == pytest.approx(
        [min(5 * step, 36) / 12 for step in range(1, 9)]
    )
    members = sum(negatives()["group_size"].to_pylist())
    summary = training_summary(trained)
    assert summary["pairs"] == sum(log["pairs"].to_pylist()) == 3 * members
    assert summary["steps"] == 8
    assert min(log["gradient_norm"].to_pylist()) > 0
    assert min(log["tokens"].to_numpy() / log["pairs"].to_numpy()) > 8


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant_with_decay"])
def test_learning_rates_follow_one_schedule_over_the_rounds(
    reranker_folder: Path, schedule: str
) -> None:
    settings = config(schedule=schedule, warmup_share=0.3)
    found = [
        rate
        for number in (1, 2)
        for rate in fit(reranker_folder, settings, number).log["learning_rate"]
    ]
    factor = learning_rate_factor(settings.training, round_number=1, rounds=1, steps=6)
    expected = [1e-3 * factor(step) for step in range(6)]
    assert [rate.as_py() for rate in found] == pytest.approx(expected, rel=1e-5)


def test_frozen_layers_stay_as_they_are(reranker_folder: Path) -> None:
    before = weights(load_reranker(reranker_folder))
    after = weights(fit(reranker_folder, config(frozen_layers=1)))
    changed = {name for name in before if before[name] != after[name]}
    kept = {name for name in before if "embeddings" in name or "layer.0." in name}
    assert changed == before.keys() - kept
    with pytest.raises(InputError, match=r"training\.frozen_layers = 2: the model has 2 layers"):
        fit(reranker_folder, config(frozen_layers=2))


def test_what_widens_electras_embeddings_stays_with_them() -> None:
    sizes = {"embedding_size": 16, "hidden_size": 32, "intermediate_size": 64}
    electra = ElectraConfig(num_hidden_layers=2, num_attention_heads=2, num_labels=1, **sizes)
    model = ElectraForSequenceClassification(electra)
    freeze(model, 1)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name for name in trained if ".layer.1." not in name} == {
        f"classifier.{layer}.{kind}"
        for layer in ("dense", "out_proj")
        for kind in ("weight", "bias")
    }


def test_without_negatives_there_is_nothing_to_train(reranker_folder: Path) -> None:
    with pytest.raises(InputError, match="round 2: no query has a negative to train on"):
        train(
            load_reranker(reranker_folder),
            negatives().slice(0, 0),
            source(),
            config(),
            round_number=2,
        )


def test_every_reader_of_the_saved_folder_finds_the_same_logits(
    bi_encoder_folder: Path, tmp_path: Path
) -> None:
    loaded, fresh = initialise(bi_encoder_folder, "base", seed=1, trust_remote_code=False)
    assert fresh
    settings = config()
    trained = train(loaded, negatives(), source(), settings, round_number=1)
    save_reranker(trained.reranker, tmp_path, max_tokens=64, card="# Card\n")
    rows = np.arange(NUM_QUERIES)
    ours = Scorer(load_reranker(tmp_path), source(), settings.reranker).score_rows(rows, rows[::-1])
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
