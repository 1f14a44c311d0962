"""Vectors of texts by a bi-encoder that reads them packed: one after another, without padding.

Source: unpadding as in `strop.pipeline.scoring.packing`; pooling as in Reimers and Gurevych,
"Sentence-BERT", 2019.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from strop.pipeline.arrays import Ints
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.packing import packed_batch, packed_layers, packs
from strop.pipeline.scoring.pairs import PairTokens
from strop.pipeline.scoring.spans import Spans

PLAIN = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
"""How sentence-transformers calls a transformer whose last layer's states are pooled."""


@dataclass(frozen=True)
class PackedTexts:
    """A bi-encoder's transformer, and whether a text's vector is its first token's state or else
    the mean over all its tokens.
    """

    transformer: Any
    first_token: bool

    @classmethod
    def by(cls, model: Any, precision: str) -> "PackedTexts | None":
        """For a sentence-transformers model, or None where its texts cannot be packed.

        They can where `packs` says so and sentence-transformers would do no more than tokenize,
        run the transformer, and pool by mean or first token.
        """
        if not only_pools(model) or model.truncate_dim is not None:
            return None
        first, pooling = model[0], model[1]
        plain = pooling.pooling_mode in ("mean", "cls") and pooling.include_prompt
        if not plain or not _plainly_called(first) or not _plainly_tokenized(model.tokenizer):
            return None
        if not packs(first.auto_model, precision):
            return None
        return cls(first.auto_model, pooling.pooling_mode == "cls")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """While entered, `vectors` can be called."""
        with packed_layers(self.transformer, all_tokens=not self.first_token):
            yield

    def vectors(self, tokens: Ragged, rows: Ints) -> torch.Tensor:
        """The vectors of some texts, given their tokens, on the transformer's device.

        Shape (rows, dimension); sums are in fp32.
        """
        batch = packed_batch(self.transformer, PairTokens(tokens, None), rows)
        states: torch.Tensor = self.transformer(**batch).last_hidden_state.float()
        return states[:, 0] if self.first_token else means(states[0], batch["spans"])


def only_pools(model: Any) -> bool:
    """Whether a bi-encoder is a transformer, its pooling and norms, and nothing else."""
    kinds = [type(module) for module in model]
    return kinds[:2] == [Transformer, Pooling] and set(kinds[2:]) <= {Normalize}


def means(states: torch.Tensor, spans: Spans) -> torch.Tensor:
    """The mean state of every span; shape (spans, width).

    Each span is summed by itself and in order, so that bits depend on nothing beside it.
    """
    lengths = torch.tensor(spans.lengths) if spans.edges is None else spans.edges.diff()
    found: torch.Tensor = torch.segment_reduce(states, "mean", lengths=lengths, unsafe=True)
    return found


def _plainly_called(transformer: Any) -> bool:
    return transformer.modality_config == PLAIN and not transformer.processing_kwargs


def _plainly_tokenized(tokenizer: Any) -> bool:
    """Whether texts have no other inputs than token ids, of which even an empty text has some."""
    if not getattr(tokenizer, "is_fast", False) or tokenizer.padding_side != "right":
        return False
    types = tokenizer("a probe").get("token_type_ids", [])
    return tokenizer.num_special_tokens_to_add() > 0 and not any(types)
