"""Which artifacts of a run Prefect's UI shows, so that a repetition need not show them again.

A server takes some 30 ms for each of them, which was a fifth of the time of a run that finds every
stage in its store, and keeps them all.
"""

import json
from collections import defaultdict
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, ArtifactFilterType
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import PREFECT_API_URL

from strop.artifacts.manifest import ArtifactRef

PAGE, PAGES = 200, 10
"""Artifacts that are asked for at once, the newest first, and how often at most."""
Places = dict[str, str]
"""Where the UI shows artifacts, by `artifact_name`."""

_before: dict[tuple[str, str], Places] = {}
"""What a server knew of a key's artifacts when this process first asked."""
_since: dict[tuple[str, str], Places] = defaultdict(dict)
"""What this process has shown."""


def artifact_name(ref: ArtifactRef) -> str:
    """What a stage's table in the UI begins with."""
    return f"{ref.kind} {ref.id}"


def shown_pages(key: str) -> Places:
    """Where the UI shows the artifacts of a run whose keys begin with this one."""
    place = (str(PREFECT_API_URL.value()), key)
    if place not in _before:
        _before[place] = _asked(key)
    return _before[place] | _since[place]


def remember(key: str, ref: ArtifactRef, page: UUID) -> None:
    """Say that the UI shows an artifact of a run."""
    _since[str(PREFECT_API_URL.value()), key][artifact_name(ref)] = _path(page)


def _asked(key: str) -> Places:
    """What the server tells; of an artifact that it shows more than once, the newest."""
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(like_=f"{key}-%"), type=ArtifactFilterType(any_=["table"])
    )
    found: Places = {}
    with get_client(sync_client=True) as client:
        for page in range(PAGES):
            tables = client.read_artifacts(
                artifact_filter=wanted,
                sort=ArtifactSort.CREATED_DESC,
                limit=PAGE,
                offset=page * PAGE,
            )
            for table in tables:
                name = _named(table.data)
                if is_of(table.key or "", key, name):
                    found.setdefault(name, _path(table.id))
            if len(tables) < PAGE:
                break
    return found


def _named(data: object) -> str:
    rows = json.loads(data) if isinstance(data, str) else data
    return str(rows[0]["value"]) if isinstance(rows, list) and rows else ""


def is_of(found: str, key: str, name: str) -> bool:
    """Whether a table's key is of this run, and not of one whose name goes on after this one's."""
    kind = name.partition(" ")[0].replace("_", "-")
    return found.startswith(f"{key}-{kind}-")


def _path(page: UUID) -> str:
    return f"/v2/artifacts/artifact/{page}"
