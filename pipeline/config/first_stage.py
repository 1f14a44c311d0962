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


class VectorIndex(Section):
    """How the passages nearest to a query's vector are found.

    Candidates have exact scores whatever the index: one that searches approximately only says
    which passages are scored, and may miss some.
    """

    type: Literal["exact", "hnsw", "ivf", "ivf_pq"] = "exact"
    """Every vector in turn, in blocks; or a graph, inverted lists, or inverted lists of product
    codes, which FAISS builds once and searches in a part of the time."""
    links: int = Field(default=32, ge=4, le=128)
    """Of `hnsw`: links of a vector."""
    breadth: int = Field(default=256, ge=8, le=65_536)
    """Of `hnsw`: vectors kept in view, when it is built and when it is searched."""
    lists: int | None = Field(default=None, ge=1, le=1_000_000)
    """Of `ivf` and `ivf_pq`: lists, at most one for 39 passages; null takes four times the square
    root of the passages."""
    probes: int = Field(default=64, ge=1, le=1_000_000)
    """Of `ivf` and `ivf_pq`: lists that are searched for a query."""
    code_dimensions: int = Field(default=4, ge=1, le=64)
    """Of `ivf_pq`: dimensions that one byte stands for, at most."""
    refine: int = Field(default=4, ge=1, le=100)
    """Of `ivf_pq`: passages that are scored exactly, as a multiple of the depth."""
    shard_passages: int | None = Field(default=None, ge=1_000)
    """Passages of one index at most: a larger corpus has several, built one after another in the
    memory of one, and all searched; null builds one."""


class FirstStage(Section):
    """How candidates are retrieved."""

    depth: int = Field(default=100, ge=1, le=10_000)
    """Candidates kept for each query."""
    ranking: Literal["dense", "bm25", "fused"] = "dense"
    """What production retrieves with: the bi-encoder, BM25, or both by reciprocal-rank fusion."""
    fusion_constant: int = Field(default=60, ge=1, le=10_000)
    """The constant k of reciprocal-rank fusion, 1 / (k + rank)."""
    index: VectorIndex = VectorIndex()
    bm25: Bm25 = Bm25()
    more_encoders: dict[Name, BiEncoder] = Field(
        default={}, json_schema_extra={"additionalProperties": False}
    )
    """More bi-encoders by name, whose candidates `mining.more_pools` can mine."""
