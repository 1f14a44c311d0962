from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from strop.pipeline.errors import InputError
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.pairs import PairLimits, assemble, pair_lengths, probe_template
from tests.world import WORDS, bert_tokenizer, pair_source, roberta_tokenizer

TOKENIZERS = {"bert": bert_tokenizer(), "roberta": roberta_tokenizer()}
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)


def expected(tokenizer: Any, query: str, passage: str, limits: PairLimits) -> dict[str, list[int]]:
    """What the tokenizer makes of a pair whose query was cut beforehand, the passage at the end."""
    ids = tokenizer(query, add_special_tokens=False)["input_ids"][: limits.max_query_tokens]
    return dict(
        tokenizer(
            tokenizer.decode(ids), passage, truncation="only_second", max_length=limits.max_tokens
        )
    )


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=40, deadline=None)
@given(queries=st.lists(TEXTS, min_size=1, max_size=4), passages=st.lists(TEXTS, min_size=4))
def test_pairs_equal_the_tokenizers_own_encoding(
    name: str, queries: list[str], passages: list[str]
) -> None:
    tokenizer, limits = TOKENIZERS[name], PairLimits(max_tokens=24, max_query_tokens=9)
    source = pair_source(
        tokenizer,
        {f"q{i}": text for i, text in enumerate(queries)},
        {f"p{i}": text for i, text in enumerate(passages)},
    )
    query_rows = np.arange(len(passages)) % len(queries)
    rows = (source.queries.ragged, source.passages.ragged, query_rows, np.arange(len(passages)))
    template = probe_template(tokenizer, limits)
    pairs = assemble(*rows, template=template)
    for index, passage in enumerate(passages):
        own = expected(tokenizer, queries[query_rows[index]], passage, limits)
        assert pairs.tokens.row(index).tolist() == own["input_ids"]
        if name == "bert":
            assert pairs.types is not None
            assert pairs.types.row(index).tolist() == own["token_type_ids"]
    assert pair_lengths(*rows, template=template).tolist() == pairs.tokens.lengths.tolist()


def test_templates_by_hand() -> None:
    limits = PairLimits(24, 9)
    bert = probe_template(TOKENIZERS["bert"], limits)
    assert (bert.prefix, bert.middle, bert.suffix) == ((2,), (3,), (3,))
    assert (bert.types, bert.pad, bert.special) == ((0, 0, 0, 1, 1), 0, 3)
    roberta = probe_template(TOKENIZERS["roberta"], limits)
    assert (roberta.prefix, roberta.middle, roberta.suffix) == ((0,), (2, 2), (2,))
    assert (roberta.types, roberta.pad, roberta.special) == (None, 1, 4)


def test_a_query_longer_than_the_whole_pair_leaves_room_for_the_passage() -> None:
    tokenizer, limits = TOKENIZERS["bert"], PairLimits(max_tokens=16, max_query_tokens=5)
    source = pair_source(tokenizer, {"q": " ".join(WORDS[:100])}, {"p": " ".join(WORDS[100:130])})
    zero = np.zeros(1, np.int64)
    found = assemble(
        source.queries.ragged,
        source.passages.ragged,
        zero,
        zero,
        template=probe_template(tokenizer, limits),
    )
    words = [2, *range(5, 10), 3, *range(105, 113), 3]
    assert found.tokens.flat.tolist() == words
    assert found.types is not None
    assert found.types.flat.tolist() == [0] * 7 + [1] * 9


def test_an_empty_passage_is_a_pair_all_the_same() -> None:
    tokenizer = TOKENIZERS["bert"]
    queries, passages = Ragged.from_lists([[7, 8]]), Ragged.from_lists([[], [9]])
    found = assemble(
        queries,
        passages,
        np.array([0, 0]),
        np.array([0, 1]),
        template=probe_template(tokenizer, PairLimits(16, 8)),
    )
    assert [found.tokens.row(i).tolist() for i in (0, 1)] == [[2, 7, 8, 3, 3], [2, 7, 8, 3, 9, 3]]


def test_token_types_that_no_template_gives_are_refused() -> None:
    """XLNet's ``A <sep> B <sep> <cls>`` gives its last token a type of its own."""
    tokenizer = bert_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP] [CLS]:2",
        pair="$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        special_tokens=[("[SEP]", 3), ("[CLS]", 2)],
    )
    with pytest.raises(InputError, match="token types"):
        probe_template(tokenizer, PairLimits(24, 9))


def test_a_tokenizer_without_pairs_is_refused() -> None:
    tokenizer = bert_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $B [SEP] $A [SEP]",
        special_tokens=[("[SEP]", 3), ("[CLS]", 2)],
    )
    with pytest.raises(InputError, match="encodes a text otherwise within a pair than alone"):
        probe_template(tokenizer, PairLimits(24, 9))
