"""Paired randomization tests, bootstrap intervals and detectable differences, by cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.ranking import FloatArray, IntArray, encode
from strop.pipeline.seeds import generator

MIN_CLUSTERS = 20
"""Fewer groups than this cannot carry a bootstrap; the queries are resampled instead."""
BLOCK_VALUES = 1 << 20
"""Random values held at once, which bounds memory whatever the number of samples."""


@dataclass(frozen=True)
class Comparison:
    """A challenger's mean against an opponent's over the same queries.

    ``ci_low`` and ``ci_high`` bound the difference (95 %); ``p_value`` is two-sided, ``p_gain``
    speaks against "no better", ``p_loss`` against "no worse". ``smallest_detectable`` is the
    difference that this many queries would show in four of five trials.
    """

    challenger_value: float
    opponent_value: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    p_gain: float
    p_loss: float
    n: int
    num_clusters: int
    smallest_detectable: float


def cluster_codes(group_ids: pa.ChunkedArray) -> IntArray:
    """The unit of resampling of each query, as codes from 0.

    The unit is the group where some group holds several queries and there are at least
    ``MIN_CLUSTERS`` groups; otherwise it is the query.
    """
    codes, groups = encode(group_ids)
    if MIN_CLUSTERS <= len(groups) < len(codes):
        return codes
    return np.arange(len(codes), dtype=np.int64)


def paired_comparison(
    challenger: NDArray[np.floating],
    opponent: NDArray[np.floating],
    clusters: NDArray[np.integer],
    *,
    seed: int,
    samples: int = 10_000,
) -> Comparison:
    """The comparison of two systems' values, one a query, in the same order of queries.

    Interval: percentile bootstrap over whole clusters. p-values: randomization test that swaps
    the two systems in whole clusters, exact where ``2 ** clusters <= samples`` (Smucker, Allan
    and Carterette, CIKM 2007).
    """
    _require_pairs(challenger, opponent, clusters)
    differences = challenger.astype(np.float64) - opponent.astype(np.float64)
    low, high = bootstrap_interval(
        differences, clusters, rng=generator(seed, "bootstrap"), samples=samples
    )
    rng = generator(seed, "randomization")
    p_value, p_gain, p_loss = _randomization(differences, clusters, rng=rng, samples=samples)
    return Comparison(
        challenger_value=float(challenger.mean()),
        opponent_value=float(opponent.mean()),
        difference=float(differences.mean()),
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_gain=p_gain,
        p_loss=p_loss,
        n=len(differences),
        num_clusters=len(np.unique(clusters)),
        smallest_detectable=smallest_detectable_difference(differences, clusters),
    )


def bootstrap_interval(
    values: NDArray[np.floating],
    clusters: NDArray[np.integer],
    *,
    rng: np.random.Generator,
    samples: int,
    level: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean, resampling whole clusters."""
    means = bootstrap_means(values, clusters, rng=rng, samples=samples)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_means(
    values: NDArray[np.floating],
    clusters: NDArray[np.integer],
    *,
    rng: np.random.Generator,
    samples: int,
) -> FloatArray:
    """The mean in each of some resamples of whole clusters."""
    sums, sizes = _cluster_sums(values, clusters)
    num_clusters = len(sums)
    means = []
    for rows in _blocks(samples, num_clusters):
        drawn = rng.integers(0, num_clusters, size=(rows, num_clusters))
        flat = drawn + num_clusters * np.arange(rows)[:, None]
        times = np.bincount(flat.ravel(), minlength=rows * num_clusters).astype(np.float64)
        times = times.reshape(rows, num_clusters)
        means.append((times @ sums) / (times @ sizes))
    return np.concatenate(means)


def smallest_detectable_difference(
    differences: NDArray[np.floating],
    clusters: NDArray[np.integer],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The true difference that a two-sided test at ``alpha`` finds with probability ``power``.

    From the cluster-robust standard error of the mean difference, by the normal approximation;
    infinite for fewer than two clusters.
    """
    sums, sizes = _cluster_sums(differences, clusters)
    num_clusters = len(sums)
    if num_clusters < 2:
        return float("inf")
    residuals = sums - sizes * (sums.sum() / sizes.sum())
    variance = num_clusters / (num_clusters - 1) * float(residuals @ residuals)
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return float(reach * np.sqrt(variance) / sizes.sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, adjusted so that all hold together.

    A comparison whose adjusted value is below a level is significant at it with the chance of any
    false finding among all of them bounded by it (Holm, Scandinavian Journal of Statistics 1979).
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = (len(values) - np.arange(len(values))) * values[order]
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def _randomization(
    differences: FloatArray,
    clusters: NDArray[np.integer],
    *,
    rng: np.random.Generator,
    samples: int,
) -> tuple[float, float, float]:
    """Two-sided, gain and loss p-values of the sum of differences under swaps of clusters."""
    sums, _ = _cluster_sums(differences, clusters)
    sums = sums[sums != 0]  # a swap of nothing changes nothing, and fewer are sooner exact
    exact = len(sums) < 63 and 2 ** len(sums) <= samples
    observed = float(sums.sum())
    # Swaps that restore the observed sum must count as such in spite of rounding.
    slack = 1e-12 * float(np.abs(sums).sum())
    flips = _all_flips(len(sums)) if exact else _random_flips(rng, samples, len(sums))
    total = two_sided = gain = loss = 0
    for kept in flips:
        swapped = 2 * (kept @ sums) - observed
        total += len(swapped)
        two_sided += int((np.abs(swapped) >= abs(observed) - slack).sum())
        gain += int((swapped >= observed - slack).sum())
        loss += int((swapped <= observed + slack).sum())
    extra = 0 if exact else 1  # the observed assignment itself is one of the possible ones
    p_value, p_gain, p_loss = (
        (count + extra) / (total + extra) for count in (two_sided, gain, loss)
    )
    return p_value, p_gain, p_loss


def _all_flips(num_clusters: int) -> Iterator[FloatArray]:
    for start in range(0, 2**num_clusters, 1 << 14):
        numbers = np.arange(start, min(start + (1 << 14), 2**num_clusters))
        yield ((numbers[:, None] >> np.arange(num_clusters)) & 1).astype(np.float64)


def _random_flips(
    rng: np.random.Generator, samples: int, num_clusters: int
) -> Iterator[FloatArray]:
    for rows in _blocks(samples, num_clusters):
        yield rng.integers(0, 2, size=(rows, num_clusters), dtype=np.int8).astype(np.float64)


def _blocks(samples: int, width: int) -> Iterator[int]:
    rows = max(1, BLOCK_VALUES // max(width, 1))
    for start in range(0, samples, rows):
        yield min(rows, samples - start)


def _cluster_sums(
    values: NDArray[np.floating], clusters: NDArray[np.integer]
) -> tuple[FloatArray, FloatArray]:
    """Sum of values and number of queries of each cluster."""
    if len(values) == 0:
        raise InputError("no query to compare; the split holds no judged query")
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values).astype(np.float64)
    return sums, np.bincount(codes).astype(np.float64)


def _require_pairs(
    challenger: NDArray[np.floating],
    opponent: NDArray[np.floating],
    clusters: NDArray[np.integer],
) -> None:
    if not len(challenger) == len(opponent) == len(clusters):
        raise InputError(
            f"a paired comparison needs equal numbers of values, but got {len(challenger):,} of the"
            f" challenger, {len(opponent):,} of the opponent and {len(clusters):,} clusters"
        )
    if not (np.isfinite(challenger).all() and np.isfinite(opponent).all()):
        raise InputError("a metric value is not a finite number; evaluate the rankings again")
