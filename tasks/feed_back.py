"""Feedback on the group size: the evidence read off the rounds so far."""

from collections.abc import Sequence

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.mining.feedback import Evidence, GroupSize, fed_back
from strop.tasks.measure import dev_health

__all__ = ["GroupSize", "group_size_after", "size_of_selection"]

Refs = dict[str, ArtifactRef]


def group_size_after(
    store: Store, config: Config, rounds: Sequence[tuple[int, Refs, Refs]]
) -> GroupSize:
    """The mean group size after these rounds, each with the refs before it and its own."""
    evidence = []
    for number, before, after in rounds:
        old, new = dev_health(store, before), dev_health(store, after)
        evidence.append(Evidence(number, old[0], new[0], old[1], new[1]))
    return fed_back(config.mining, evidence)


def size_of_selection(
    store: Store, selection: ArtifactRef, config: Config, changed: Config
) -> GroupSize:
    """The mean group size of a selection, or the changed config's where that is another one."""
    if changed.mining.group_size != config.mining.group_size:
        return GroupSize(changed.mining.group_size)
    return GroupSize(int(store.manifest(selection).parameters["group_size"]))
