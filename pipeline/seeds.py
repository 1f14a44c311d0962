"""Random generators keyed by what they are for, not by when they are drawn."""

import hashlib

import numpy as np

SeedKey = int | str


def derived_seed(seed: int, *purpose: SeedKey) -> int:
    """A 63-bit seed that depends on the root seed and on every part of the purpose."""
    text = "\x1f".join([str(seed), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: SeedKey) -> np.random.Generator:
    """A NumPy generator for one purpose, e.g. ``generator(seed, "mine", round, query_id)``."""
    return np.random.default_rng(derived_seed(seed, *purpose))
