"""Which retrievers a run asks for candidates, as far as a plan counts them."""

from strop.pipeline.config import Config


def asks_bi_encoder(config: Config) -> bool:
    """Whether the run retrieves with its bi-encoder, in production or to mine a pool."""
    return bool(_sources(config) & {"dense", "fused"})


def asks_words(config: Config) -> bool:
    """Whether the run retrieves with BM25, in production or to mine a pool."""
    return bool(_sources(config) & {"bm25", "fused"})


def fuses(config: Config) -> bool:
    """Whether the run fuses the ranks of both."""
    return "fused" in _sources(config)


def _sources(config: Config) -> set[str]:
    return {config.first_stage.ranking, *(pool.source for pool in config.mining.more_pools)}
