"""Token ids are those of the tokenizer's own call, whatever way they are made."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.token_ids import token_ids
from tests.world import WORDS, bert_tokenizer

TEXTS = [
    " ".join(WORDS[:40]),
    WORDS[0],
    "",
    f"{WORDS[1]} [SEP] {WORDS[2]}",
    "unknown words, and  spaces",
]


def called(tokenizer: Any, limit: int, *, special_tokens: bool) -> Any:
    return tokenizer(TEXTS, add_special_tokens=special_tokens, truncation=True, max_length=limit)[
        "input_ids"
    ]


def lists(ids: Ragged) -> list[list[int]]:
    return [ids.row(number).tolist() for number in range(len(ids))]


@pytest.mark.parametrize("special_tokens", [False, True])
@pytest.mark.parametrize("limit", [3, 8, 100])
@pytest.mark.parametrize("split", [False, True])
def test_ids_are_those_of_a_call(limit: int, special_tokens: bool, split: bool) -> None:
    ours, theirs = bert_tokenizer(), bert_tokenizer()
    ours.split_special_tokens = theirs.split_special_tokens = split
    token_ids(ours, TEXTS, 5, special_tokens=not special_tokens)  # leaves its limit behind
    found = token_ids(ours, TEXTS, limit, special_tokens=special_tokens)
    assert lists(found) == called(theirs, limit, special_tokens=special_tokens)
    assert len(token_ids(ours, [], limit, special_tokens=special_tokens)) == 0


def test_a_tokenizer_that_changes_texts_first_is_heard() -> None:
    class Greeting(PreTrainedTokenizerFast):
        def _encode_plus(self, text: Any, *args: Any, **more: Any) -> Any:
            return super()._encode_plus([f"{WORDS[1]} {one}" for one in text], *args, **more)

    plain = bert_tokenizer()
    greeting = Greeting(tokenizer_object=plain.backend_tokenizer, unk_token="[UNK]")
    assert lists(token_ids(plain, [WORDS[0]], 8, special_tokens=False)) == [[5]]
    assert lists(token_ids(greeting, [WORDS[0]], 8, special_tokens=False)) == [[6, 5]]
