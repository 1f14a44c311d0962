"""The two models: the first stage's bi-encoder and the reranker."""

from typing import Literal

from pydantic import Field

from strop.pipeline.config.section import Named, Section

BUNDLED = "bundled"
"""The model name that stands for the MiniLM that strop installs with itself."""


class BiEncoder(Section):
    """The first stage's encoder, any sentence-transformers model."""

    model: str = BUNDLED
    """Folder, Hugging Face name, or `bundled` for the MiniLM that comes with strop."""
    query_prompt: str = ""
    """Text put before every query, as the model's card asks."""
    passage_prompt: str = ""
    """Text put before every passage."""
    own_prompts: bool = True
    """Whether the model's own prompts, if it has any, stand where these are empty."""
    max_tokens: int = Field(default=128, ge=8, le=32768)
    """Tokens of a passage or query that are encoded; the rest is cut."""
    shard_passages: int = Field(default=4096, ge=16)
    """Passages encoded into one shard of the embeddings."""
    batch_tokens: int = Field(default=65_536, ge=64)
    """Tokens in one batch, with padding if any; a CPU takes 2,048 at most, as its cache holds, and
    a GPU half as many each time that they do not fit."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the transformer; `auto` is bf16 on a GPU that has it, else fp32. A model with
    more than transformer, pooling and norm runs in fp32. Vectors are stored in fp32."""


class Reranker(Section):
    """The cross-encoder that is tuned: any sequence-classification model."""

    base: Named = BUNDLED
    """Folder, Hugging Face name, `bundled`, or the id of a reranker in the store; a base without a
    trained head gets a fresh one."""
    replace_head: bool = False
    """Whether a trained head with more than one logit gives way to a fresh one; it is refused
    otherwise."""
    max_tokens: int = Field(default=256, ge=16, le=32768)
    """Tokens of a pair, special tokens included; the passage is cut first."""
    max_query_tokens: int = Field(default=64, ge=4, le=8192)
    """Tokens of the query within a pair."""
    batch_tokens: int = Field(default=65_536, ge=64)
    """Tokens in one scoring batch, with padding if any; a CPU takes 2,048 at most, as its cache
    holds, and a GPU half as many each time that they do not fit."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of scoring; `auto` is bf16 on a GPU that has it, else fp32. A CPU with bf16
    instructions scores about 1.4 times as fast with `bf16`."""
    shard_pairs: int = Field(default=16_384, ge=64)
    """Pairs that are sorted by length together and cut into batches."""
    trust_remote_code: bool = False
    """Whether the base model's own code may run. Only for code that you have read."""
