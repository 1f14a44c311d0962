"""What a base needs to be a reranker: its body's weights, pairs of one form, and padding."""

from typing import Any

import torch

from strop.pipeline.errors import InputError
from strop.pipeline.scoring.pairs import PROBE_PAIRS, PairLimits, probe_template


def check_body(model: Any, info: Any, name: str) -> None:
    """Raise `InputError` where a weight that is not the head's is missing or of another shape.

    It would be drawn at random, and the reranker be as good as none. ``info`` is what transformers
    tells of loading the model.
    """
    for key in sorted(info["missing_keys"]):
        if not _of_head(model, key):
            raise InputError(
                f"reranker {name!r}: its safetensors files have no weight {key!r}, expected all of "
                "the model but its head; save the model again"
            )
    for key, found, expected in sorted(info["mismatched_keys"]):
        if not _of_head(model, key):
            raise InputError(
                f"reranker {name!r}: weight {key!r} has shape {tuple(found)}, expected "
                f"{tuple(expected)} by its config.json"
            )


def _of_head(model: Any, key: str) -> bool:
    """Whether a weight is of what stands beside the base model, or of its pooler."""
    body = f"{model.base_model_prefix}."
    return not key.startswith(body) or key.startswith(f"{body}pooler.")


def check_tokenizer(tokenizer: Any, name: str) -> None:
    """Raise `InputError` when pairs cannot be put together from cached tokens, whatever length."""
    try:
        probe_template(tokenizer, PairLimits(max_tokens=64, max_query_tokens=16))
    except InputError as error:
        raise InputError(f"reranker {name!r}: {error}") from error


def settle_end_tokens(model: Any, tokenizer: Any) -> None:
    """Let ``</s>`` within a text be words for models that read a score at the pair's last one.

    Encoder-decoders such as BART and T5 do, and fail on pairs that have more of them than others.
    """
    if model.config.is_encoder_decoder:
        tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = True


def settle_padding(model: Any, tokenizer: Any, name: str) -> None:
    """Let a decoder, whose score is that of its last token, know the padding that it gets.

    Raises `InputError` when a pair's score depends on the padding behind it: of a decoder without
    a padding token, and of models that read the last place, as XLNet does.
    """
    if tokenizer.pad_token_id is not None:
        model.config.pad_token_id = tokenizer.pad_token_id
    alone = tokenizer(*PROBE_PAIRS[0], return_tensors="pt")
    padding = {"input_ids": tokenizer.pad_token_id or 0}
    padded = {
        key: torch.nn.functional.pad(values, (0, 4), value=padding.get(key, 0))
        for key, values in alone.items()
    }
    model.eval()
    with torch.inference_mode():
        first, second = (model(**inputs).logits for inputs in (alone, padded))
    if not torch.allclose(first, second, rtol=1e-4, atol=1e-4, equal_nan=True):
        change = float((first - second).abs().max())
        missing = "" if tokenizer.pad_token_id is not None else ", which has no pad_token"
        raise InputError(
            f"reranker {name!r}: padding on the right changes a pair's score by {change:.2g}, "
            f"expected a model that leaves it out; found {model.config.model_type} with the "
            f"tokenizer {type(tokenizer).__name__}{missing}"
        )
