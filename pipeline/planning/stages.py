"""A run's stages before it starts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What a run has to work on; ``round_queries`` are the training queries of every round.

    ``reading`` is how many seconds it took to read the data, ``folds`` how many rerankers mine a
    round where cross-fitting takes folds, else 0.
    """

    passages: int
    queries: dict[str, int]
    round_queries: tuple[int, ...]
    reading: float
    folds: int = 0

    @property
    def all_queries(self) -> int:
        """Queries of all splits."""
        return sum(self.queries.values())


@dataclass(frozen=True)
class Planned:
    """A stage that is to come: ``units`` of its work, and what they will take.

    ``memory`` is the peak of the run's process in bytes, ``worker_memory`` that of each worker of a
    cluster, ``disk`` what stays in the store.
    """

    stage: str
    part: str
    units: int
    unit: str
    seconds: float
    memory: int
    disk: int = 0
    worker_memory: int = 0


def dominant(stages: list[Planned]) -> tuple[str, float]:
    """The kind of stage that takes the most time over all parts, and its share."""
    seconds: dict[str, float] = {}
    for stage in stages:
        seconds[stage.stage] = seconds.get(stage.stage, 0.0) + stage.seconds
    longest = max(seconds, key=lambda name: seconds[name])
    return longest, seconds[longest] / sum(seconds.values())
