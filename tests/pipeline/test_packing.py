"""Packed pairs have the scores and gradients of padded ones, for every build that is packed."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from strop.pipeline.profiling import Recorder, recording
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring import packing
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits, padded_batch
from strop.pipeline.scoring.half_norms import norms_in_half
from strop.pipeline.scoring.packing import packs
from strop.pipeline.scoring.pair_attention import by_equal_lengths
from strop.pipeline.scoring.pairs import PairTokens
from strop.pipeline.scoring.spans import Spans

BUILDS = {
    "bert": (BertConfig, BertForSequenceClassification),
    "electra": (ElectraConfig, ElectraForSequenceClassification),
    "roberta": (RobertaConfig, RobertaForSequenceClassification),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForSequenceClassification),
}
LENGTHS = (12, 3, 30, 12, 1, 7)
PAD = 1
BACKWARD = "aten::_scaled_dot_product_flash_attention_for_cpu_backward"


def model(build: str, **changes: Any) -> Any:
    make_config, make_model = BUILDS[build]
    torch.manual_seed(3)
    config = make_config(
        vocab_size=100, hidden_size=32, embedding_size=24, num_hidden_layers=3,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=40, num_labels=1,
        pad_token_id=PAD, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **changes,
    )  # fmt: skip
    made = make_model(config)
    for parameter in made.parameters():  # else scores hardly depend on anything
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def pairs(*, types: bool) -> PairTokens:
    random = np.random.default_rng(8)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    flat = random.integers(5, 100, offsets[-1])
    flat[20] = PAD  # a text may spell the padding out
    kinds = random.integers(0, 2, offsets[-1])
    return PairTokens(Ragged(flat, offsets), Ragged(kinds, offsets) if types else None)


def scores_and_gradients(model: Any, batches: Iterator[dict[str, Any]]) -> tuple[Any, Any]:
    model.zero_grad()
    found = torch.cat([logits(model, batch) for batch in batches])
    (found * torch.arange(1, len(found) + 1)).sum().backward()
    return found.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("build", BUILDS)
def test_scores_and_gradients_are_those_of_padded_batches(build: str) -> None:
    made, given = model(build), pairs(types="roberta" not in build)
    rows = np.array([2, 0, 3, 5, 1, 4])
    # One pair a batch: a padded batch with `pad` in a text has no such position either.
    alone = (padded_batch(given, rows[i : i + 1], pad=PAD, device=made.device) for i in range(6))
    scores, gradients = scores_and_gradients(made, alone)
    assert scores.std() > 0.1
    with lean_layers(made, packed=True):
        found = scores_and_gradients(
            made,
            (batch_of(made, given, part, pad=PAD, packed=True) for part in (rows[:4], rows[4:])),
        )
    torch.testing.assert_close(found[0], scores, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1], gradients, atol=1e-3, rtol=1e-4)
    again, _ = scores_and_gradients(
        made, iter([padded_batch(given, rows[:1], pad=PAD, device=made.device)])
    )
    torch.testing.assert_close(again, scores[:1], atol=1e-6, rtol=0)


def test_pairs_without_a_gradient_cost_no_attention() -> None:
    made, given = model("bert"), pairs(types=False)

    def gradients(found: torch.Tensor) -> dict[str, torch.Tensor]:
        made.zero_grad()
        found[[2, 4]].sum().backward()
        return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}

    each = [np.array([row]) for row in range(6)]
    alone = [logits(made, padded_batch(given, i, pad=PAD, device=made.device)) for i in each]
    expected = gradients(torch.cat(alone))
    with lean_layers(made, packed=True), torch.profiler.profile() as trace:
        found = gradients(logits(made, batch_of(made, given, np.arange(6), pad=PAD, packed=True)))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
    assert sum(event.name == BACKWARD for event in trace.events()) == 2 * 3


def test_one_of_two_pairs_of_a_length_may_have_a_gradient() -> None:
    made, given = model("bert"), pairs(types=False)
    rows = np.array([2, 0, 3, 5, 1, 4])
    assert Spans(tuple(LENGTHS[row] for row in rows)).runs == (1, 2, 1, 1, 1)

    def gradients(found: torch.Tensor) -> dict[str, torch.Tensor]:
        made.zero_grad()
        found.sum().backward()
        return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}

    for place in (1, 2):
        alone = padded_batch(given, rows[[place]], pad=PAD, device=made.device)
        expected = gradients(logits(made, alone))
        with lean_layers(made, packed=True):
            found = logits(made, batch_of(made, given, rows, pad=PAD, packed=True))
        with torch.profiler.profile(record_shapes=True) as trace:
            after = gradients(found[place])
        torch.testing.assert_close(after, expected, atol=1e-3, rtol=1e-4)
        shapes = [event.input_shapes[0] for event in trace.events() if event.name == BACKWARD]
        assert [shape[0] for shape in shapes] == [1, 1, 1], "one pair in each of three layers"


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("count", "last"), [(1, 5), (2, 6)])
def test_pairs_of_a_length_are_read_together_unless_dropout_is_drawn_for_each(
    count: int, last: int, threads: Callable[[int], None]
) -> None:
    threads(count)
    made, given = model("bert").eval(), pairs(types=False)
    rows = np.array([2, 0, 3, 5, 1, 4])
    for layer in made.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.5
    # Several threads ask for the last layer's first tokens one by one.
    for training, calls in ((False, 5 * 2 + last), (True, 6 * 3)):
        made.train(training)
        with torch.no_grad(), lean_layers(made, packed=True), torch.profiler.profile() as trace:
            logits(made, batch_of(made, given, rows, pad=PAD, packed=True))
        found = [event.name for event in trace.events()]
        assert found.count("aten::scaled_dot_product_attention") == calls


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_first_token_reads_depends_on_nobody_beside_it(
    count: int, threads: Callable[[int], None]
) -> None:
    threads(count)
    draw = torch.Generator().manual_seed(0)
    pairs, length = 7, 44
    query = torch.randn(pairs, 12, 32, generator=draw)
    key, value = torch.randn(2, pairs * length, 12, 32, generator=draw)

    def read(first: int, last: int) -> torch.Tensor:
        some = slice(first * length, last * length)
        firsts, spans = Spans((1,) * (last - first)), Spans((length,) * (last - first))
        with torch.no_grad():
            return by_equal_lengths(
                query[first:last], key[some], value[some], firsts, spans, dropout=0.0, scale=0.2
            )

    assert torch.equal(read(0, pairs), torch.cat([read(row, row + 1) for row in range(pairs)]))


def test_a_gradient_that_is_no_number_is_never_left_out() -> None:
    made, given = model("bert"), pairs(types=False)
    with lean_layers(made, packed=True):
        found = logits(made, batch_of(made, given, np.arange(6), pad=PAD, packed=True))
    (found[2] * torch.nan).backward()
    query = made.bert.encoder.layer[0].attention.self.query.weight
    assert query.grad.isnan().any()


def test_what_packs_has_no_padding_and_the_rest_is_padded_as_before() -> None:
    given, rows = pairs(types=False), np.arange(6)
    for made, share in ((model("bert"), 0.0), (eager := model("bert"), 1 - 65 / 180)):
        if made is eager:
            made.set_attn_implementation("eager")
        assert packs(made) is (made is not eager)
        recorder = Recorder()
        packed = packs(made)
        with recording(recorder), lean_layers(made, packed=packed):
            found = logits(made, batch_of(made, given, rows, pad=PAD, packed=packed))
        assert recorder.padding_share == pytest.approx(share)
        assert found.shape == (6,)


@pytest.mark.parametrize("place", ["attention.self.dropout", "output.dropout"])
def test_dropout_leaves_something_out_in_training_alone(place: str) -> None:
    made, given, rows = model("bert").eval(), pairs(types=False), np.arange(6)
    for layer in made.bert.encoder.layer:
        layer.get_submodule(place).p = 0.5

    def scores() -> torch.Tensor:
        torch.manual_seed(1)
        with lean_layers(made, packed=True):
            return logits(made, batch_of(made, given, rows, pad=PAD, packed=True))

    with torch.no_grad():
        whole = scores()
        made.train()
        left_out = scores()
        assert torch.equal(left_out, scores()), "the same seed leaves out the same"
    assert (left_out - whole).abs().max() > 0.1
    assert (left_out[4] - whole[4]).abs() > 1e-3, "also in a pair of one token"


def test_projections_made_together_are_those_made_one_by_one() -> None:
    torch.manual_seed(1)
    layers, states = [torch.nn.Linear(8, 6) for _ in range(3)], torch.randn(1, 5, 8)
    expected = [layer(states)[0] for layer in layers]
    torch.testing.assert_close(list(packing._together(states, *layers)), expected)
    layers[1] = torch.nn.Sequential(layers[1], torch.nn.ReLU())  # as an adapter might replace it
    expected[1] = expected[1].relu()
    torch.testing.assert_close(list(packing._together(states, *layers)), expected)


def test_norms_in_half_give_16_bits_under_autocast_and_come_back() -> None:
    made, given, rows = model("bert"), pairs(types=False), np.arange(6)
    seen: list[torch.dtype] = []
    norm = made.bert.encoder.layer[0].output.LayerNorm
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))

    def scores() -> torch.Tensor:
        with torch.no_grad(), lean_layers(made, packed=True):
            return logits(made, batch_of(made, given, rows, pad=PAD, packed=True))

    expected = scores()
    with torch.autocast("cpu", torch.bfloat16), norms_in_half(made):
        found = scores()
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.999
    torch.testing.assert_close(scores(), expected)
    assert seen == [torch.float32, torch.bfloat16, torch.float32]
