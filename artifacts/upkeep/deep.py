"""What checksums do not tell: tables of another schema, ids that their recipes do not give."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from strop.artifacts.backends.location import StorePath
from strop.artifacts.backends.object_path import ObjectPath
from strop.artifacts.errors import StoreError
from strop.artifacts.inspection.query import SHARD
from strop.artifacts.manifest import ID_LENGTH, Manifest, Recipe
from strop.artifacts.schemas import SCHEMA_VERSION, TABLES
from strop.artifacts.store import Store

Problem = tuple[StorePath, str]


def deep_problems(store: Store, manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with an artifact's tables and id, with the path it is wrong in."""
    home = store.root / "objects" / manifest.kind / manifest.id
    yield from ((home, problem) for problem in _identity_problems(manifest))
    for name, entry in manifest.files.items():
        if not name.endswith(".parquet"):
            continue
        try:
            path = store.file(manifest, name)
        except StoreError:  # the shallow check names it
            continue
        place = store.place_of(manifest, name)
        yield from ((place, problem) for problem in _table_problems(path, name, manifest))
        if entry.rows is None:
            yield place, f"file {name} is a table, but the manifest has no count of its rows"
    extra = _files(home / manifest.attempt) - set(manifest.files)
    for name in sorted(extra):
        yield home / manifest.attempt / name, f"file {name} is not in the manifest"


def _identity_problems(manifest: Manifest) -> Iterator[str]:
    if manifest.schema_version == SCHEMA_VERSION:
        recipe = Recipe(
            manifest.kind, manifest.stage, manifest.recipe, manifest.parameters, manifest.inputs
        )
        if recipe.key != manifest.key:
            yield f"the manifest's key is {manifest.key[:12]}…, its recipe gives {recipe.key[:12]}…"
    if manifest.key[:ID_LENGTH] != manifest.id:
        yield f"the id does not begin the manifest's key {manifest.key[:ID_LENGTH]}"
    if manifest.kind not in TABLES:
        yield f"kind {manifest.kind!r} is unknown to this strop"


def _table_problems(path: Path, name: str, manifest: Manifest) -> Iterator[str]:
    try:
        with pq.ParquetFile(path) as file:
            found, rows = file.schema_arrow, file.metadata.num_rows
            read = sum(batch.num_rows for batch in file.iter_batches())
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        yield f"file {name} is not a readable Parquet file ({reason})"
        return
    expected = manifest.files[name].rows
    if not read == rows == expected:
        yield f"file {name} has {read} rows, its footer says {rows}, the manifest {expected}"
    declared = TABLES.get(manifest.kind, {}).get(SHARD.sub("", name.removesuffix(".parquet")))
    if declared is None or manifest.schema_version != SCHEMA_VERSION:
        return
    for field in declared:
        other = found.field(field.name) if field.name in found.names else None
        if other is None:
            yield f"file {name} has no column {field.name!r}"
        elif other.type != field.type or (other.nullable and not field.nullable):
            yield f"file {name}: column {field.name!r} is {_told(other)}, expected {_told(field)}"
    for column in found.names:
        if column not in declared.names:
            yield f"file {name} has a column {column!r} that is not declared"


def _told(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def _files(folder: StorePath) -> set[str]:
    if isinstance(folder, ObjectPath):
        return {str(path.relative_to(folder)) for path, _ in folder.files()}
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
