"""Query-passage pairs put together from cached tokens, as the tokenizer itself would."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from strop.pipeline.arrays import Ints
from strop.pipeline.errors import InputError
from strop.pipeline.ragged import Ragged, copy_ranges, offsets_from_lengths

PROBE_PAIRS = (("which probe", "a longer passage of words"), ("one", "two"), ("x y z", "q"))


@dataclass(frozen=True)
class PairLimits:
    """Tokens of a whole pair and of the query in it; the passage gets what is left."""

    max_tokens: int
    max_query_tokens: int


@dataclass(frozen=True)
class PairTemplate:
    """Special tokens before the query, between query and passage, and after the passage.

    ``types`` are the token types of prefix, query, middle, passage and suffix, or None where the
    model has none.
    """

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    types: tuple[int, int, int, int, int] | None
    pad: int
    limits: PairLimits

    @property
    def special(self) -> int:
        """The number of special tokens in a pair."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)


@dataclass(frozen=True)
class PairTokens:
    """The tokens of some pairs, with token types where the model has them."""

    tokens: Ragged
    types: Ragged | None


def probe_template(tokenizer: Any, limits: PairLimits) -> PairTemplate:
    """Read the template off probe encodings; raises `InputError` when they don't fit one."""
    templates = [_probe(tokenizer, query, passage, limits) for query, passage in PROBE_PAIRS]
    if any(template != templates[0] for template in templates):
        raise InputError(
            f"tokenizer {type(tokenizer).__name__}: its pairs follow no fixed template of special "
            "tokens; strop cannot put them together from parts"
        )
    return templates[0]


def _probe(tokenizer: Any, query: str, passage: str, limits: PairLimits) -> PairTemplate:
    pair = tokenizer(query, passage, add_special_tokens=True)
    ids = list(pair["input_ids"])
    first = list(tokenizer(query, add_special_tokens=False)["input_ids"])
    second = list(tokenizer(passage, add_special_tokens=False)["input_ids"])
    start = _find(ids, first, 0)
    middle = start + len(first)
    after = _find(ids, second, middle)
    end = after + len(second)
    types = pair.get("token_type_ids")
    return PairTemplate(
        prefix=tuple(ids[:start]),
        middle=tuple(ids[middle:after]),
        suffix=tuple(ids[end:]),
        types=_part_types(types, (0, start, middle, after, end)) if types else None,
        pad=int(tokenizer.pad_token_id or 0),
        limits=limits,
    )


def _part_types(types: list[int], starts: tuple[int, ...]) -> tuple[int, int, int, int, int]:
    """The one token type of each part; an empty part has none, so any will do."""
    ends = (*starts[1:], len(types))
    parts = [types[start:end] or [0] for start, end in zip(starts, ends, strict=True)]
    if any(len(set(part)) > 1 for part in parts):
        raise InputError("the tokenizer mixes token types within one part of a pair")
    prefix, query, middle, passage, suffix = (part[0] for part in parts)
    return prefix, query, middle, passage, suffix


def _find(ids: list[int], part: list[int], start: int) -> int:
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise InputError("the tokenizer encodes a text otherwise within a pair than alone")


def assemble(
    queries: Ragged,
    passages: Ragged,
    query_rows: Ints,
    passage_rows: Ints,
    *,
    template: PairTemplate,
) -> PairTokens:
    """The tokens of pairs: query row ``query_rows[i]`` with passage row ``passage_rows[i]``."""
    query_lengths, passage_lengths = _cut(queries, passages, query_rows, passage_rows, template)
    offsets = offsets_from_lengths(query_lengths + passage_lengths + template.special)
    flat = np.zeros(offsets[-1], np.int64)
    query_starts = offsets[:-1] + len(template.prefix)
    middle_starts = query_starts + query_lengths
    passage_starts = middle_starts + len(template.middle)
    suffix_starts = passage_starts + passage_lengths
    copy_ranges(flat, query_starts, queries.flat, queries.offsets[query_rows], query_lengths)
    copy_ranges(
        flat, passage_starts, passages.flat, passages.offsets[passage_rows], passage_lengths
    )
    _fill(flat, offsets[:-1], template.prefix)
    _fill(flat, middle_starts, template.middle)
    _fill(flat, suffix_starts, template.suffix)
    starts = (offsets[:-1], query_starts, middle_starts, passage_starts, suffix_starts)
    types = _types(template, starts, offsets) if template.types else None
    return PairTokens(Ragged(flat, offsets), types)


def pair_lengths(
    queries: Ragged,
    passages: Ragged,
    query_rows: Ints,
    passage_rows: Ints,
    *,
    template: PairTemplate,
) -> Ints:
    """The number of tokens that `assemble` gives every pair."""
    parts = _cut(queries, passages, query_rows, passage_rows, template)
    return np.asarray(parts[0] + parts[1] + template.special)


def _cut(
    queries: Ragged, passages: Ragged, query_rows: Ints, passage_rows: Ints, template: PairTemplate
) -> tuple[Ints, Ints]:
    limits = template.limits
    query_lengths = np.minimum(queries.lengths[query_rows], limits.max_query_tokens)
    room = limits.max_tokens - template.special - query_lengths
    return query_lengths, np.minimum(passages.lengths[passage_rows], room)


def _fill(flat: Ints, starts: Ints, tokens: tuple[int, ...]) -> None:
    for place, token in enumerate(tokens):
        flat[starts + place] = token


def _types(template: PairTemplate, starts: tuple[Ints, ...], offsets: Ints) -> Ragged:
    ends = (*starts[1:], offsets[1:])
    lengths = np.stack([end - start for start, end in zip(starts, ends, strict=True)], axis=1)
    values = np.tile(np.asarray(template.types, np.int64), len(offsets) - 1)
    return Ragged(np.repeat(values, lengths.reshape(-1)), offsets)
