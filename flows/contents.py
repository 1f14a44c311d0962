"""What a run has made, as a page of links: from its flow run any artifact is three clicks away."""

import contextlib
import json
from collections.abc import Mapping, Sequence, Set

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.session import ASSESS, PREPARE, PROMOTE, part_title
from strop.tasks.publishing import artifact_key

MADE_ON_THE_WAY = "made on the way"
ORDER = (PREPARE, "round", PROMOTE, ASSESS)
PAGE, PAGES = 200, 10
"""Artifacts that are asked for at once, the newest first, and how often at most."""


def show_contents(run: Run) -> None:
    """Publish the page on this flow run; a server that does not answer must not stop the work."""
    if FlowRunContext.get() is None:
        return
    parts = run.parts()
    recorded = [ref for refs in parts.values() for ref in refs.values()]
    between = _between(run.store, recorded)
    with contextlib.suppress(httpx.HTTPError, PrefectException):
        pages = pages_by_artifact(run.name, {_name(ref) for ref in (*recorded, *between)})
        # What came from elsewhere, another run's for one, was not shown as made by this one.
        shown = {f"{ref.kind}, {ref.id[:6]}": ref for ref in between if _name(ref) in pages}
        text = contents(run.name, {**parts, MADE_ON_THE_WAY: dict(sorted(shown.items()))}, pages)
        create_markdown_artifact(
            text, key=artifact_key(run.name, "contents"), description=f"All that {run.name} made"
        )


def contents(
    run: str, parts: Mapping[str, Mapping[str, ArtifactRef]], pages: Mapping[str, str]
) -> str:
    """Tables of every part's artifacts, as Markdown.

    ``pages`` are UI paths by ``kind id``.
    """
    lines = [f"# Artifacts of {run}", ""]
    for part in sorted(parts, key=_place):
        lines += [f"## {part_title(part)}", "", "| as | artifact | open with |", "|---|---|---|"]
        for role, ref in parts[part].items():
            name = _name(ref)
            link = f"[{name}]({pages[name]})" if name in pages else name
            lines.append(f"| {role.replace('_', ' ')} | {link} | `strop artifacts show {ref.id}` |")
        lines.append("")
    return "\n".join(lines)


def _between(store: Store, recorded: Sequence[ArtifactRef]) -> list[ArtifactRef]:
    """All that the recorded artifacts were made from and that is not recorded itself."""
    waiting, seen = list(recorded), {ref.id for ref in recorded}
    found: list[ArtifactRef] = []
    while waiting:
        with contextlib.suppress(StoreError):  # an input that was collected since
            manifest = store.manifest(waiting.pop())
            new = [ref for ref in manifest.inputs.values() if ref.id not in seen]
            seen.update(ref.id for ref in new)
            waiting += new
            found += new
    return found


def _name(ref: ArtifactRef) -> str:
    return f"{ref.kind} {ref.id}"


def _place(part: str) -> tuple[int, str]:
    name = part.partition("-")[0]
    return (ORDER.index(name) if name in ORDER else len(ORDER), part)


def pages_by_artifact(run: str, wanted: Set[str]) -> dict[str, str]:
    """Where the UI shows each wanted artifact of a run, its newest showing.

    A server keeps what every repetition of a run showed. So the pages end where all is found, or
    where one has nothing new: what is missing then was not shown as this run's.
    """
    found: dict[str, str] = {}
    like = ArtifactFilter(key=ArtifactFilterKey(like_=f"{artifact_key(run)}-%"))
    with get_client(sync_client=True) as client:
        for page in range(PAGES):
            shown = client.read_artifacts(
                artifact_filter=like,
                sort=ArtifactSort.CREATED_DESC,
                limit=PAGE,
                offset=page * PAGE,
            )
            places = {
                _named(item.data): f"/v2/artifacts/artifact/{item.id}"
                for item in reversed(shown)
                if item.type == "table"
            }
            new = (places.keys() & wanted) - found.keys()
            found |= {name: places[name] for name in new}
            if not new or len(found) == len(wanted) or len(shown) < PAGE:
                break
    return found


def _named(data: object) -> str:
    """The ``kind id`` that a stage's table begins with."""
    rows = json.loads(data) if isinstance(data, str) else data
    return str(rows[0]["value"]) if isinstance(rows, list) and rows else ""
