"""How candidates are retrieved: by vectors, by words, or by both."""

from typing import Literal

from pydantic import Field

from strop.pipeline.config.models import BiEncoder
from strop.pipeline.config.section import Name, Section


class Bm25(Section):
    """Lexical retrieval by bm25s."""

    method: Literal["lucene", "robertson", "atire", "bm25l", "bm25+"] = "lucene"
    """Variant of the BM25 formula, as bm25s names them."""
    k1: float = Field(default=1.2, ge=0, le=10)
    """How soon more occurrences of a word stop counting."""
    b: float = Field(default=0.75, ge=0, le=1)
    """How much long passages are held back."""
    language: str | None = "english"
    """Language of the stop words and of the Snowball stemmer; null splits into words only."""


class FirstStage(Section):
    """How candidates are retrieved."""

    depth: int = Field(default=100, ge=1, le=10_000)
    """Candidates kept for each query."""
    ranking: Literal["dense", "bm25", "fused"] = "dense"
    """What production retrieves with: the bi-encoder, BM25, or both by reciprocal-rank fusion."""
    fusion_constant: int = Field(default=60, ge=1, le=10_000)
    """The constant k of reciprocal-rank fusion, 1 / (k + rank)."""
    bm25: Bm25 = Bm25()
    more_encoders: dict[Name, BiEncoder] = Field(
        default={}, json_schema_extra={"additionalProperties": False}
    )
    """More bi-encoders by name, whose candidates `mining.more_pools` can mine."""
