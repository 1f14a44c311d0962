import pytest
import torch
from transformers import AutoModelForSequenceClassification, RobertaConfig
from transformers import RobertaForSequenceClassification as Roberta

from strop.pipeline.scoring.first_token import first_token_only
from tests.world import tiny_model


def models(folder):
    yield AutoModelForSequenceClassification.from_pretrained(tiny_model(folder, one_logit=True))
    config = RobertaConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=40, num_labels=1, pad_token_id=1,
    )  # fmt: skip
    yield Roberta(config).eval()


def batch(padded):
    torch.manual_seed(5)
    ids = torch.randint(5, 90, (3, 12))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 7:] = 0
        ids[1, 7:] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("padded", [False, True])
def test_logits_and_gradients_are_those_of_the_whole_layer(tmp_path, padded):
    for model in models(tmp_path):
        inputs, found = batch(padded), []
        for only in (False, True):
            model.zero_grad()
            if only:
                with first_token_only(model):
                    scores = model(**inputs).logits
            else:
                scores = model(**inputs).logits
            scores.sum().backward()
            weight = model.base_model.encoder.layer[-1].attention.self.key.weight
            found.append((scores.detach(), weight.grad.clone()))
        torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


def test_the_last_layer_gives_one_token_inside_and_all_outside(tmp_path):
    model = next(models(tmp_path)).eval()
    inputs = batch(padded=True)
    with first_token_only(model):
        assert model.base_model(**inputs).last_hidden_state.shape == (3, 1, 32)
    assert model.base_model(**inputs).last_hidden_state.shape == (3, 12, 32)
