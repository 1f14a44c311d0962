"""The decision on every row of a window, and the rule behind it."""

from typing import Any

import numpy as np
import pyarrow as pa


class Words:
    """A text for every row out of a few, in two bytes a row; the empty one at first."""

    def __init__(self, count: int) -> None:
        """Give ``count`` rows the empty text."""
        self._texts = [""]
        self._codes = np.zeros(count, np.int16)

    def put(self, rows: Any, text: str) -> None:
        """Give some rows, by mask or number, this text."""
        if text not in self._texts:
            self._texts.append(text)
        self._codes[rows] = self._texts.index(text)

    def are(self, text: str) -> Any:
        """Which rows have this text; bool per row."""
        if text not in self._texts:
            return np.zeros(len(self._codes), bool)
        return self._codes == self._texts.index(text)

    def distinct(self, rows: Any) -> list[str]:
        """The texts that some rows have, in alphabetical order."""
        return sorted(self._texts[code] for code in np.unique(self._codes[rows]).tolist())

    def to_arrow(self) -> pa.DictionaryArray:
        """The texts as a column."""
        return pa.DictionaryArray.from_arrays(
            pa.array(self._codes.astype(np.int32)), pa.array(self._texts)
        )


class Labels:
    """Decision, rule, sampler and weight of every row; the first decision on a row stands."""

    def __init__(self, count: int) -> None:
        """Leave ``count`` rows open."""
        self.decision, self.rule, self.sampler = Words(count), Words(count), Words(count)
        self.weight = np.ones(count, np.float32)

    @property
    def open(self) -> Any:
        """Which rows nothing was decided on yet."""
        return self.decision.are("")

    def set(self, rows: Any, decision: str, rule: str) -> None:
        """Decide on the rows that are still open."""
        chosen = rows & self.open
        self.decision.put(chosen, decision)
        self.rule.put(chosen, rule)

    def sample(self, rows: Any, samplers: list[str]) -> None:
        """Make negatives of some rows (their numbers), by the samplers named.

        A suspect that is sampled all the same keeps the rule that made it one.
        """
        self.decision.put(rows, "negative")
        self.rule.put(rows[self.rule.are("")[rows]], "sampled")
        named = np.asarray(samplers, object)
        for sampler in dict.fromkeys(samplers):
            self.sampler.put(rows[named == sampler], sampler)
