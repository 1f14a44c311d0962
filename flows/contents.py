"""What a run has made, as a page of links: from its flow run any artifact is three clicks away."""

import contextlib
from collections.abc import Mapping, Sequence

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from strop.artifacts.errors import StoreError
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.session import ASSESS, PREPARE, PROMOTE, part_title
from strop.tasks.publishing import artifact_key
from strop.tasks.shown_pages import Places, artifact_name, shown_pages

MADE_ON_THE_WAY = "made on the way"
ORDER = (PREPARE, "round", PROMOTE, ASSESS)


def show_contents(run: Run) -> None:
    """Publish the page on this flow run; a server that does not answer must not stop the work."""
    if FlowRunContext.get() is None:
        return
    parts = run.parts()
    recorded = [ref for refs in parts.values() for ref in refs.values()]
    between = _between(run.store, recorded)
    with contextlib.suppress(httpx.HTTPError, PrefectException):
        own = shown_pages(artifact_key(run.name))
        # What came from elsewhere, another run's for one, was not shown as made by this one.
        shown = {f"{ref.kind}, {ref.id[:6]}": ref for ref in between if artifact_name(ref) in own}
        pages = {**_before_its_name(run), **own}
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
            name = artifact_name(ref)
            link = f"[{name}]({pages[name]})" if name in pages else name
            lines.append(f"| {role.replace('_', ' ')} | {link} | `strop artifacts show {ref.id}` |")
        lines.append("")
    return "\n".join(lines)


def _before_its_name(run: Run) -> Places:
    """What was shown for a night's config before there was a name for the night: its data set."""
    config = run.name.rpartition(".")[0]
    return shown_pages(artifact_key(config)) if config else {}


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


def _place(part: str) -> tuple[int, str]:
    name = part.partition("-")[0]
    return (ORDER.index(name) if name in ORDER else len(ORDER), part)
