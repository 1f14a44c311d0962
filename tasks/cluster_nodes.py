"""Whether every host of a cluster that runs already can do a run's work; asked before it starts."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from strop.artifacts import durable
from strop.artifacts.environment import library_versions
from strop.artifacts.store import Store
from strop.pipeline.errors import InputError
from strop.tasks.node_probe import Facts, code_digest, probe_of

ASK_SECONDS = 120.0
"""So long hosts have to answer: a cold one imports torch and Prefect first."""


def check_nodes(address: str, location: str, object_bytes: int) -> None:
    """Raise `InputError` naming the first host that lacks something, and what."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise InputError(
            f"execution.address = {address}: no host of the cluster has processors for workers, "
            "expected one at least; see `ray start --num-cpus`"
        )
    for node in nodes:
        memory = int(node["Resources"].get("object_store_memory", 0))
        if memory < object_bytes:
            raise InputError(
                f"execution.address = {address}: host {node['NodeManagerHostname']} shares "
                f"{memory >> 20:,} MiB of memory among its workers, expected "
                f"{object_bytes >> 20:,} MiB; see `ray start --object-store-memory`"
            )
    store, token = Store(location), secrets.token_hex(8)
    folder = store.root / "probe" / token
    durable.create(folder / "run", b"here")
    try:
        for facts in _ask(address, nodes, store.location, token):
            if problem := problem_of(facts):
                raise InputError(f"execution.address = {address}: host {facts['host']} {problem}")
    finally:
        durable.remove_tree(folder)
        with suppress(OSError):  # another run may ask at this moment
            folder.parent.rmdir()


def _ask(address: str, nodes: list[Any], location: str, token: str) -> Iterator[Facts]:
    """What every host says of itself."""
    import ray
    from prefect.settings import PREFECT_API_URL
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = ray.remote(probe_of(location, token, PREFECT_API_URL.value()))
    asked = [
        probe.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(node["NodeID"])
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        try:
            yield ray.get(answer, timeout=ASK_SECONDS)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            if isinstance(error, ray.exceptions.GetTimeoutError):
                reason = f"no word in {ASK_SECONDS:.0f} s; Ray's logs there tell why none works"
            raise InputError(
                f"execution.address = {address}: host {node['NodeManagerHostname']} did not say "
                f"what it has ({reason})"
            ) from error


def problem_of(facts: Facts) -> str | None:
    """What a host lacks, as the end of a sentence; None where it lacks nothing."""
    if reason := facts.get("missing"):
        return f"cannot load strop ({reason}); install the same version as here, strop[ray]"
    ours = {**library_versions(), "code of strop": code_digest()}
    for name, version in ours.items():
        if (theirs := facts["versions"].get(name)) != version:
            return f"has {name} {theirs or 'not at all'}, expected {version} as here"
    if reason := facts["store"]:
        return f"cannot write the store ({reason})"
    if reason := facts["disk"]:
        return f"lacks disk ({reason})"
    if reason := facts["prefect"]:
        return (
            f"does not reach Prefect's server ({reason}); set PREFECT_API_URL to one that all "
            "hosts reach"
        )
    return None
