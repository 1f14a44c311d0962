"""The token ids of texts, by the tokenizer's own Rust code where it has one."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from strop.pipeline.ragged import Ragged, offsets_from_lengths


def token_ids(tokenizer: Any, texts: Sequence[str], limit: int, *, special_tokens: bool) -> Ragged:
    """The token ids of each text as ``tokenizer(texts)`` gives them, at most ``limit`` of each.

    A fast tokenizer is called without its Python layer, which works out offsets and masks that
    nobody asks for here; one that has a layer of its own is called as it is.
    """
    if not texts:
        return Ragged.from_lists([])
    texts = list(texts)
    if not _plain(tokenizer):
        return Ragged.from_lists(_called(tokenizer, texts, limit, special_tokens))
    _truncate(tokenizer, limit)
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(
        texts, add_special_tokens=special_tokens
    )
    lengths = np.fromiter((len(encoding) for encoding in encodings), np.int64, len(texts))
    # No more than one list at a time: thousands would set off the garbage collector.
    ids = chain.from_iterable(encoding.ids for encoding in encodings)
    return Ragged(np.fromiter(ids, np.int64, lengths.sum()), offsets_from_lengths(lengths))


def _called(tokenizer: Any, texts: list[str], limit: int, special_tokens: bool) -> list[list[int]]:
    found: list[list[int]] = tokenizer(
        texts,
        add_special_tokens=special_tokens,
        truncation=True,
        max_length=limit,
        return_attention_mask=False,
        return_token_type_ids=False,
    )["input_ids"]
    return found


def _plain(tokenizer: Any) -> bool:
    """Whether a call of this tokenizer does nothing to texts before its Rust code gets them."""
    from transformers import PreTrainedTokenizerFast

    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return False
    names = ("__call__", "_encode_plus")
    return all(
        getattr(type(tokenizer), name) is getattr(PreTrainedTokenizerFast, name) for name in names
    )


def _truncate(tokenizer: Any, limit: int) -> None:
    from transformers.tokenization_utils_base import TruncationStrategy
    from transformers.utils import PaddingStrategy

    tokenizer.set_truncation_and_padding(
        padding_strategy=PaddingStrategy.DO_NOT_PAD,
        truncation_strategy=TruncationStrategy.LONGEST_FIRST,
        max_length=limit,
        stride=0,
        pad_to_multiple_of=None,
        padding_side=None,
    )
    tokenizer.backend_tokenizer.encode_special_tokens = tokenizer.split_special_tokens
