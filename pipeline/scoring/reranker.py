"""Cross-encoders with one logit: loading, a fresh head, and saving so that every reader agrees."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from strop.pipeline.errors import InputError
from strop.pipeline.models import check_vocabulary
from strop.pipeline.scoring.base_checks import (
    check_body,
    check_tokenizer,
    settle_end_tokens,
    settle_padding,
)
from strop.pipeline.seeds import derived_seed

IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True)
class LoadedReranker:
    """A model in evaluation mode with its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def num_parameters(self) -> int:
        """The number of weights."""
        return sum(weight.numel() for weight in self.model.parameters())


def initialise(
    base: Path, name: str, *, seed: int, trust_remote_code: bool, replace_head: bool = False
) -> tuple[LoadedReranker, bool]:
    """The untuned reranker, and whether its one-logit head is fresh.

    A base without a trained head gets one drawn from the seed, and so does one with a head of more
    logits when ``replace_head`` says so. Raises `InputError` when the folder holds no such model.
    """
    torch.manual_seed(derived_seed(seed, "head"))
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=1,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            dtype=torch.float32,
        )
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"reranker {name!r}: cannot be loaded ({reason})") from error
    check_vocabulary(tokenizer, f"reranker {name!r}")
    check_body(model, info, name)
    settle_end_tokens(model, tokenizer)
    check_tokenizer(tokenizer, name)
    if not trust_remote_code:  # code of its own may need a GPU
        settle_padding(model, tokenizer, name)
    if info["mismatched_keys"] and not replace_head:
        raise InputError(
            f"reranker {name!r}: has a trained head with {_num_logits(info)} logits, expected "
            "one; of reranker.base, reranker.replace_head = true draws a fresh one"
        )
    fresh = bool(info["missing_keys"]) or bool(info["mismatched_keys"])
    return LoadedReranker(model.eval(), tokenizer), fresh


def _num_logits(info: Any) -> int:
    """The most rows that a weight of another shape has in the base: those of the head's last."""
    return max(int(found[0]) for _, found, _ in info["mismatched_keys"])


def load_reranker(folder: Path, *, trust_remote_code: bool = False) -> LoadedReranker:
    """A reranker that strop saved."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=trust_remote_code, dtype=torch.float32
    )
    return LoadedReranker(model.eval(), load_tokenizer(folder))


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a reranker that strop saved."""
    return AutoTokenizer.from_pretrained(folder)


def save_reranker(reranker: LoadedReranker, folder: Path, *, max_tokens: int, card: str) -> None:
    """Save weights, tokenizer and model card.

    The config says that scores are plain logits, so that sentence-transformers applies no sigmoid;
    a tokenizer of no class of its own bears the class name that transformers 4 and 5 both load.
    """
    reranker.model.config.sentence_transformers = {"activation_fn": IDENTITY, "version": "5.0.0"}
    reranker.tokenizer.model_max_length = max_tokens
    reranker.model.save_pretrained(folder)
    reranker.tokenizer.save_pretrained(folder)
    _name_generic_tokenizer(folder / "tokenizer_config.json")
    (folder / "README.md").write_text(card, encoding="utf-8")


def _name_generic_tokenizer(path: Path) -> None:
    """Replace the name that transformers 5 alone knows."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if values.get("tokenizer_class") == "TokenizersBackend":
        values["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check_positions(reranker: LoadedReranker, name: str, max_tokens: int) -> None:
    """Raise `InputError` when pairs may be longer than the model's position embeddings."""
    limit = _positions(reranker.model)
    if limit is not None and max_tokens > limit:
        raise InputError(
            f"reranker.max_tokens = {max_tokens}: base {name!r} reads at most {limit} tokens"
        )


def _positions(model: Any) -> int | None:
    """The longest input in tokens; RoBERTa's family counts positions from after the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return module.num_embeddings - (
                0 if module.padding_idx is None else module.padding_idx + 1
            )
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    return limit
