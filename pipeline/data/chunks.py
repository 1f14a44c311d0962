"""Long passages cut into chunks of so many words, which overlap."""

import re
from dataclasses import dataclass
from typing import Any

UNSPACED = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese and Japanese, which have no spaces between words: each character counts as one."""
LONGEST_WORD = 40
"""A longer run without a space counts as several words, so that no chunk grows without bound."""
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]{{1,{LONGEST_WORD}}}")


@dataclass(frozen=True)
class Chunking:
    """Chunks of at most ``words`` words, of which ``overlap`` are the last of the chunk before."""

    words: int
    overlap: int = 0

    def parameters(self) -> dict[str, Any]:
        """The identity parameters."""
        return {"chunk_words": self.words, "chunk_overlap": self.overlap}

    def cut(self, text: str) -> list[str]:
        """The chunks of a text as they stand in it; the whole text where it is short enough."""
        if len(text) <= self.words:  # a word has a character at least
            return [text]
        found = [match.span() for match in WORD.finditer(text)]
        if len(found) <= self.words:
            return [text]
        last = len(found) - self.words
        starts = [*range(0, last, self.words - self.overlap), last]
        return [text[found[start][0] : found[start + self.words - 1][1]] for start in starts]


def chunk_id(document_id: str, number: int) -> str:
    """The passage id of a document's chunk, from 1."""
    return f"{document_id}#{number}"
