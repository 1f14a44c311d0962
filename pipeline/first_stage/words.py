"""The words of a text as BM25 counts them: lower-case, without stop words, cut to their stems."""

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import Stemmer

from strop.pipeline.errors import InputError

VARIANTS = {"porter", "dutch_porter"}
"""Stemmers that are no languages of their own."""


def known_languages() -> tuple[str, ...]:
    """The languages that have a Snowball stemmer."""
    return tuple(sorted(set(Stemmer.algorithms()) - VARIANTS))


def check_language(language: str | None) -> None:
    """Raise `InputError` for a language without a stemmer; None is allowed."""
    if language is not None and language not in known_languages():
        raise InputError(
            f"first_stage.bm25.language = {language!r}: no such stemmer; expected null or one of "
            f"{', '.join(known_languages())}"
        )


def word_splitter(language: str | None) -> Callable[[str], list[str]]:
    """A function from a text to its words; raises `InputError` for an unknown language.

    A word is a run of letters, digits and the marks that belong to them, in Unicode's composed
    form. bm25s has stop words for some of the languages; the others keep all their words, and
    null only splits.
    """
    check_language(language)
    find, stop_words = _word_pattern().findall, _stop_words(language)
    stem = cache(Stemmer.Stemmer(language, 0).stemWord) if language else None

    def words(text: str) -> list[str]:
        found = find(unicodedata.normalize("NFC", text.lower()))
        if stem is None:
            return found
        return [stem(word) for word in found if word not in stop_words]

    return words


@cache
def _word_pattern() -> re.Pattern[str]:
    r"""Python's ``\w`` has no combining marks, which would cut Hindi or Thai words to pieces."""
    marks = [code for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"]
    starts = [marks[0], *(after for before, after in pairwise(marks) if after > before + 1)]
    ends = [*(before for before, after in pairwise(marks) if after > before + 1), marks[-1]]
    ranges = (f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
    return re.compile(rf"\w[\w{''.join(ranges)}]*")


def _stop_words(language: str | None) -> frozenset[str]:
    from bm25s import stopwords

    words_by_language = {
        "danish": stopwords.STOPWORDS_DANISH,
        "dutch": stopwords.STOPWORDS_DUTCH,
        "english": stopwords.STOPWORDS_EN,
        "french": stopwords.STOPWORDS_FRENCH,
        "german": stopwords.STOPWORDS_GERMAN,
        "italian": stopwords.STOPWORDS_ITALIAN,
        "norwegian": stopwords.STOPWORDS_NORWEGIAN,
        "portuguese": stopwords.STOPWORDS_PORTUGUESE,
        "russian": stopwords.STOPWORDS_RUSSIAN,
        "spanish": stopwords.STOPWORDS_SPANISH,
        "swedish": stopwords.STOPWORDS_SWEDISH,
        "turkish": stopwords.STOPWORDS_TURKISH,
    }
    return frozenset(words_by_language.get(language or "", ()))
