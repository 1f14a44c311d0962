"""What a run has made, as a page of links: from its flow run any artifact is three clicks away."""

import contextlib
import json
from collections.abc import Mapping

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
from strop.flows.session import ASSESS, PREPARE, PROMOTE, part_title
from strop.tasks.publishing import artifact_key

ORDER = (PREPARE, "round", PROMOTE, ASSESS)
PAGE, PAGES = 200, 10
"""Artifacts that are asked for at once, the newest first, and how often at most."""


def show_contents(run: Run) -> None:
    """Publish the page on this flow run; a server that does not answer must not stop the work."""
    if FlowRunContext.get() is None:
        return
    with contextlib.suppress(httpx.HTTPError, PrefectException):
        text = contents(run, _pages_by_artifact(run.name))
        create_markdown_artifact(
            text, key=artifact_key(run.name, "contents"), description=f"All that {run.name} made"
        )


def contents(run: Run, pages: Mapping[str, str]) -> str:
    """Tables of every part's artifacts and of what these were made from, as Markdown.

    ``pages`` are UI paths by ``kind id``.
    """
    parts = sorted(run.parts().items(), key=lambda item: _place(item[0]))
    lines = [f"# Artifacts of {run.name}", ""]
    for part, refs in [*parts, ("made on the way", _between(run, pages))]:
        lines += [f"## {part_title(part)}", "", "| as | artifact | open with |", "|---|---|---|"]
        for role, ref in refs.items():
            name = f"{ref.kind} {ref.id}"
            link = f"[{name}]({pages[name]})" if name in pages else name
            lines.append(f"| {role.replace('_', ' ')} | {link} | `strop artifacts show {ref.id}` |")
        lines.append("")
    return "\n".join(lines)


def _between(run: Run, pages: Mapping[str, str]) -> dict[str, ArtifactRef]:
    """What the recorded artifacts were made from, where this run showed it and recorded it not."""
    recorded = [ref for refs in run.parts().values() for ref in refs.values()]
    waiting, seen = list(recorded), {ref.id for ref in recorded}
    found: dict[str, ArtifactRef] = {}
    while waiting:
        with contextlib.suppress(StoreError):  # an input that was collected since
            manifest = run.store.manifest(waiting.pop())
            new = [ref for ref in manifest.inputs.values() if ref.id not in seen]
            seen.update(ref.id for ref in new)
            waiting += new
            found |= {f"{ref.kind}, {ref.id[:6]}": ref for ref in new}
    shown = {key: ref for key, ref in found.items() if f"{ref.kind} {ref.id}" in pages}
    return dict(sorted(shown.items()))


def _place(part: str) -> tuple[int, str]:
    name = part.partition("-")[0]
    return (ORDER.index(name) if name in ORDER else len(ORDER), part)


def _pages_by_artifact(run: str) -> dict[str, str]:
    """Where the UI shows each artifact of a run, its newest showing."""
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
            for item in shown:
                if item.type == "table":
                    found.setdefault(_named(item.data), f"/v2/artifacts/artifact/{item.id}")
            if len(shown) < PAGE:
                break
    return found


def _named(data: object) -> str:
    """The ``kind id`` that a stage's table begins with."""
    rows = json.loads(data) if isinstance(data, str) else data
    return str(rows[0]["value"]) if isinstance(rows, list) and rows else ""
