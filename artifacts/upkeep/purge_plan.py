"""Where a passage's text is in the store, and what was learnt from it."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.tables import iterate_batches
from strop.artifacts.upkeep.plan import by_key
from strop.artifacts.upkeep.roots import Key, reachable

DERIVED = ("embeddings", "index", "shard")
"""Kinds that are made of the text of passages, and are made anew from another data set."""
TEXT_FILES = (".html", ".md", ".json", ".jsonl", ".csv", ".txt", ".svg")
QUOTED_LETTERS = 40
"""A file that has so many letters of the text in a row quotes it."""


@dataclass(frozen=True)
class PurgePlan:
    """What holds a passage's text in one data set and its descendants.

    ``rewritten`` are made again without it under new ids, the data set first; ``erased`` go
    without a replacement; ``trained`` are rerankers by how they saw it; ``mentions`` have its id,
    and scores of it, but not its text; ``copies`` are other passages with the very same text.
    """

    passage_id: str
    dataset: Manifest
    rewritten: list[Manifest]
    erased: list[Manifest]
    trained: dict[Key, str]
    mentions: list[Manifest]
    copies: list[str]


def purge_plans(store: Store, passage_id: str) -> list[PurgePlan]:
    """One plan for every data set that has the passage; raises `NotFound` where none has."""
    manifests = by_key(store.artifacts())
    plans = []
    for dataset in [item for item in manifests.values() if item.kind == "dataset"]:
        texts, copies = _texts(store, dataset, passage_id)
        if texts is not None:
            below = _descendants(dataset, manifests)
            plans.append(_plan(store, manifests, dataset, below, (passage_id, texts, copies)))
    if not plans:
        raise NotFound(f"passage {passage_id!r}: in no data set of the store {store.root}")
    return plans


def _plan(
    store: Store,
    manifests: dict[Key, Manifest],
    dataset: Manifest,
    below: list[Manifest],
    found: tuple[str, list[str], list[str]],
) -> PurgePlan:
    passage_id, texts, copies = found
    # A later data set's tokens are below this one too, by a reranker that was trained on it.
    tokens = [item for item in below if item.kind == "tokens" and _from(item, dataset)]
    erased = [item for item in below if item.kind in DERIVED or quotes(store, item, texts)]
    rest = [item for item in below if item not in erased and item.kind != "tokens"]
    return PurgePlan(
        passage_id=passage_id,
        dataset=dataset,
        rewritten=[dataset, *tokens],
        erased=erased,
        trained=_trained(store, manifests, below, passage_id),
        mentions=[item for item in rest if mentions(store, item, passage_id)],
        copies=copies,
    )


def _texts(store: Store, dataset: Manifest, passage_id: str) -> tuple[list[str] | None, list[str]]:
    """The passage's title and text, folded, and the ids of others with the same text."""
    path = store.file(dataset, "corpus.parquet")
    text = title = None
    for batch in iterate_batches(path):
        for row in batch.filter(pc.field("passage_id") == passage_id).to_pylist():
            title, text = row["title"], row["text"]
    if text is None:
        return None, []
    same = [
        other
        for batch in iterate_batches(path, columns=["passage_id", "text"])
        for other in batch.filter(pc.field("text") == text)["passage_id"].to_pylist()
        if other != passage_id
    ]
    parts = [folded for part in (title or "", text) if (folded := _folded(part))]
    return [part for part in parts if len(part) >= QUOTED_LETTERS] or parts[-1:], same


def _descendants(dataset: Manifest, manifests: dict[Key, Manifest]) -> list[Manifest]:
    top = (dataset.kind, dataset.id)
    return [
        item for key, item in manifests.items() if key != top and top in reachable([key], manifests)
    ]


def _from(item: Manifest, dataset: Manifest) -> bool:
    return dataset.ref in item.inputs.values()


def quotes(store: Store, item: Manifest, texts: list[str]) -> bool:
    """Whether a file of text in an artifact quotes one of the texts, however it is wrapped.

    White space is folded on both sides, since pages show a text on one line; the file is read as
    it is and as HTML or Markdown, whose escapes are undone.
    """
    starts = [_folded(text)[:QUOTED_LETTERS] for text in texts]
    for name in item.files:
        if name.endswith(TEXT_FILES):
            content = store.file(item, name).read_text(encoding="utf-8", errors="replace")
            forms = (_folded(content), _folded(html.unescape(content)))
            if any(start in form for start in starts for form in forms):
                return True
    return False


def _folded(text: str) -> str:
    """The text on one line, without the backslashes by which Markdown escapes letters."""
    return " ".join(text.replace("\\", "").split())


def mentions(store: Store, item: Manifest, passage_id: str) -> bool:
    """Whether a table of an artifact has the passage's id."""
    return any(
        pc.any(pc.equal(values, passage_id)).as_py()
        for path in _tables(store, item)
        for batch in iterate_batches(path)
        for column in batch.columns
        for values in _strings(column)
    )


def _trained(
    store: Store, manifests: dict[Key, Manifest], below: list[Manifest], passage_id: str
) -> dict[Key, str]:
    """Rerankers that saw the passage in their own training, or started from one that did."""
    found: dict[Key, str] = {}
    for item in below:
        if item.kind != "reranker":
            continue
        for key in reachable([(item.kind, item.id)], manifests):
            made = manifests[key]
            if made.kind == "negatives" and mentions(store, made, passage_id):
                own = made.ref in item.inputs.values()
                how = "in its training" if own else "in the training of one it derives from"
                found[(item.kind, item.id)] = how if own else found.get((item.kind, item.id), how)
    return found


def _tables(store: Store, item: Manifest) -> list[Path]:
    return [store.file(item, name) for name in item.files if name.endswith(".parquet")]


def _strings(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Every array of strings in a column, however deep it is nested."""
    for chunk in column.chunks:
        yield from _leaves(chunk)


def _leaves(values: pa.Array) -> Iterator[pa.Array]:
    kind = values.type
    if pa.types.is_string(kind):
        yield values
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _leaves(values.field(index))
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(values.flatten())
