"""Synthetic corpora of any size in BEIR layout, with planted answers, some of them unlabelled.

Words follow Zipf's law. Every query asks for a topic of its own, four rare words: its relevant
passages hold all of them, and so do its *false negatives*, true answers that `qrels` lack and that
`false_negatives.tsv` lists (the reader of the folder does not look there). Near misses hold half of
the topic. Everything is written block by block; what a passage holds follows from its number and
the seed alone, so memory is that of a block and equal arguments give equal bytes.

    python benchmarks/synthetic.py OUT --passages 1000000 --queries 100000
"""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

BLOCK = 32_768
TOPIC_WORDS = 4
SHORTEST, LONGEST = 12, 60
"""Words of a passage, uniformly."""
COMMON_SHARE = 0.1
"""Topics are of words beyond this share of the vocabulary's most frequent ones."""
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
QRELS_HEADER = b"query-id\tcorpus-id\tscore\n"
FALSE_NEGATIVES = "false_negatives.tsv"


@dataclass(frozen=True)
class World:
    """What is generated; the counts of planted passages are for every query."""

    passages: int
    queries: int
    seed: int = 1
    vocabulary: int = 50_000
    exponent: float = 1.0
    relevant: int = 1
    false_negatives: int = 1
    near_misses: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises `ValueError` with one line."""
        for name in ("passages", "queries", "relevant"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} = {getattr(self, name)}: expected 1 at least")
        for name in ("false_negatives", "near_misses", "seed"):
            if getattr(self, name) < 0:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} = {getattr(self, name)}: expected 0 at least")
        if self.vocabulary < 1000:
            raise ValueError(f"--vocabulary = {self.vocabulary}: expected 1000 at least")
        if not 0 < self.exponent <= 5:
            raise ValueError(f"--exponent = {self.exponent:g}: expected above 0, 5 at most")
        needed = self.queries * self.planted
        if needed > self.passages:
            raise ValueError(
                f"--passages = {self.passages:,}: {self.queries:,} queries plant {self.planted} "
                f"passages each, expected {needed:,} at least"
            )

    @property
    def planted(self) -> int:
        """Planted passages of every query."""
        return self.relevant + self.false_negatives + self.near_misses

    @property
    def answers(self) -> int:
        """Those of them that answer it."""
        return self.relevant + self.false_negatives

    @property
    def stride(self) -> int:
        """Multiplying by it modulo the passages puts planted ones anywhere, each once."""
        random = np.random.default_rng([self.seed, 0])
        while True:
            found = int(random.integers(1, self.passages + 1))
            if math.gcd(found, self.passages) == 1:
                return found

    def topics(self, queries: Ints) -> Ints:
        """The word numbers of the queries' topics, shape (queries, 4); four different words."""
        rare = int(self.vocabulary * COMMON_SHARE)
        span = (self.vocabulary - rare) // TOPIC_WORDS
        keys = queries[:, None] * TOPIC_WORDS + np.arange(TOPIC_WORDS)
        return rare + np.arange(TOPIC_WORDS) * span + _mixed(keys, self.seed) % span


def _mixed(keys: Ints, seed: int) -> Ints:
    """Numbers below 2⁶³ that look random, each of its key and the seed alone.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    with np.errstate(over="ignore"):
        golden = np.uint64(0x9E3779B97F4A7C15)
        mixed = (keys.astype(np.uint64) + np.uint64(1)) * golden + np.uint64(seed) * golden**2
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def words(count: int) -> pa.Array:
    """So many different words of made-up syllables, the shortest first."""
    found = []
    for number in range(count):
        parts, left = [], number + 1
        while left:
            left, place = divmod(left - 1, len(SYLLABLES))
            parts.append(SYLLABLES[place])
        found.append("".join(reversed(parts)))
    return pa.array(found, pa.large_string())


class Zipf:
    """Draws word numbers with a frequency of rank to the power of minus the exponent."""

    def __init__(self, world: World) -> None:
        """Sum up the frequencies."""
        weights = np.arange(1, world.vocabulary + 1, dtype=np.float64) ** -world.exponent
        self._sums = np.cumsum(weights) / weights.sum()

    def draw(self, count: int, random: np.random.Generator) -> Ints:
        """So many word numbers."""
        found = np.searchsorted(self._sums, random.random(count), side="right")
        return np.minimum(found, len(self._sums) - 1).astype(np.int64)


def write(world: World, out: Path) -> None:
    """Write the folder; it is there when it is whole, or not at all.

    Raises `FileExistsError` where something is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "qrels").mkdir(parents=True)
    try:
        vocabulary, zipf = words(world.vocabulary), Zipf(world)
        with (partial / "corpus.jsonl").open("wb") as file:
            for start in range(0, world.passages, BLOCK):
                _write_passages(world, start, vocabulary, zipf, file)
        with (partial / "queries.jsonl").open("wb") as file:
            for start in range(0, world.queries, BLOCK):
                _write_queries(world, start, vocabulary, zipf, file)
        _write_judgements(world, partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_passages(
    world: World, start: int, vocabulary: pa.Array, zipf: Zipf, file: BinaryIO
) -> None:
    numbers = np.arange(start, min(start + BLOCK, world.passages))
    random = np.random.default_rng([world.seed, 1, start // BLOCK])
    lengths = random.integers(SHORTEST, LONGEST + 1, len(numbers))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    drawn = zipf.draw(int(offsets[-1]), random)
    _plant(world, numbers, offsets, drawn, random)
    _write_lines(file, "p", numbers, offsets, drawn, vocabulary, head='"title": "", ')


def _plant(
    world: World, numbers: Ints, offsets: Ints, drawn: Ints, random: np.random.Generator
) -> None:
    """Put topics into the passages of a block that queries planted."""
    inverse = pow(world.stride, -1, world.passages)
    # Python's integers: the product of two numbers of passages may not fit 64 bits.
    places = numbers.astype(object) * inverse % world.passages
    places = places.astype(np.int64)
    rows = np.flatnonzero(places < world.queries * world.planted)
    queries, roles = np.divmod(places[rows], world.planted)
    topics = world.topics(queries)
    gaps = np.diff(offsets)[rows] // TOPIC_WORDS
    held = np.where(roles < world.answers, TOPIC_WORDS, TOPIC_WORDS // 2)
    for word in range(TOPIC_WORDS):
        within = word * gaps + (random.random(len(rows)) * gaps).astype(np.int64)
        put = word < held
        drawn[(offsets[rows] + within)[put]] = topics[put, word]


def _write_queries(
    world: World, start: int, vocabulary: pa.Array, zipf: Zipf, file: BinaryIO
) -> None:
    numbers = np.arange(start, min(start + BLOCK, world.queries))
    random = np.random.default_rng([world.seed, 2, start // BLOCK])
    texts = np.empty((len(numbers), TOPIC_WORDS + 2), np.int64)
    texts[:, :: TOPIC_WORDS + 1] = zipf.draw(2 * len(numbers), random).reshape(-1, 2)
    texts[:, 1:-1] = world.topics(numbers)
    offsets = np.arange(len(numbers) + 1) * texts.shape[1]
    _write_lines(file, "q", numbers, offsets, texts.ravel(), vocabulary)


def _write_lines(
    file: BinaryIO,
    prefix: str,
    numbers: Ints,
    offsets: Ints,
    drawn: Ints,
    vocabulary: pa.Array,
    *,
    head: str = "",
) -> None:
    """One JSON object a text; its words need no escapes."""
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), vocabulary.take(pa.array(drawn)))
    texts = pc.binary_join(lists, pa.scalar(" ", pa.large_string()))
    lines = _joined(f'{{"_id": "{prefix}', numbers, f'", {head}"text": "', texts, '"}\n')
    file.write(_bytes(lines))


def _joined(*parts: Any) -> Any:
    """Constants, numbers and texts put together row by row."""
    columns = [
        pa.scalar(part, pa.large_string())
        if isinstance(part, str)
        else pa.array(part).cast(pa.large_string())
        if isinstance(part, np.ndarray)
        else part
        for part in parts
    ]
    return pc.binary_join_element_wise(*columns, pa.scalar("", pa.large_string()))


def _bytes(texts: Any) -> memoryview:
    """All texts one after another, as they lie in memory."""
    ends = np.frombuffer(texts.buffers()[1], np.int64)[[0, len(texts)]]
    return memoryview(texts.buffers()[2])[ends[0] : ends[1]]


def _write_judgements(world: World, folder: Path) -> None:
    bounds = np.round(np.cumsum([0.0, *SPLITS.values()]) * world.queries).astype(int).tolist()
    for split, first, last in zip(SPLITS, bounds, bounds[1:], strict=False):
        if last > first:
            roles = range(world.relevant)
            _write_pairs(world, folder / "qrels" / f"{split}.tsv", range(first, last), roles)
    roles = range(world.relevant, world.answers)
    _write_pairs(world, folder / FALSE_NEGATIVES, range(world.queries), roles)


def _write_pairs(world: World, path: Path, queries: range, roles: range) -> None:
    with path.open("wb") as file:
        file.write(QRELS_HEADER)
        for numbers in _blocks(queries):
            asked = np.repeat(numbers, len(roles))
            places = asked * world.planted + np.tile(np.asarray(roles, np.int64), len(numbers))
            found = (places.astype(object) * world.stride % world.passages).astype(np.int64)
            if len(found):
                file.write(_bytes(_joined("q", asked, "\tp", found, "\t1\n")))


def _blocks(numbers: range) -> Iterator[Ints]:
    for start in range(numbers.start, numbers.stop, BLOCK):
        yield np.arange(start, min(start + BLOCK, numbers.stop))


def main(arguments: list[str] | None = None) -> int:
    """Write a folder; 2 for what cannot be done, told in one line."""
    parser = argparse.ArgumentParser(description="A synthetic corpus with planted answers.")
    parser.add_argument("out", type=Path, help="the folder that is made")
    parser.add_argument("--passages", type=int, required=True)
    parser.add_argument("--queries", type=int, required=True)
    parser.add_argument("--seed", type=int, default=World.seed)
    parser.add_argument("--vocabulary", type=int, default=World.vocabulary)
    parser.add_argument("--exponent", type=float, default=World.exponent, help="of Zipf's law")
    for name in ("relevant", "false-negatives", "near-misses"):
        default = getattr(World, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=default, help="passages a query")
    values = vars(parser.parse_args(arguments))
    try:
        write(
            World(**{name: value for name, value in values.items() if name != "out"}), values["out"]
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
