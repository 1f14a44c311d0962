"""Reads Hugging Face datasets as sentence-transformers lays them out, from disk or from the Hub."""

from pathlib import Path

from strop.pipeline.data.collector import Collector
from strop.pipeline.data.locations import Location
from strop.pipeline.data.readers.files import COMPRESSED, SPLIT_WORDS, Files
from strop.pipeline.data.readers.options import Options
from strop.pipeline.data.readers.rows import READERS, is_table
from strop.pipeline.data.readers.tables import read_pair_files
from strop.pipeline.errors import InputError


def hugging_face_files(path: Location, options: Options) -> Files:
    """The tables of a local folder (``datasets``' own or of Parquet), or of a dataset on the Hub.

    A folder ``data`` in it and folders named after splits are looked into as well.
    """
    if path.is_file():
        return {path.name: path}
    if path.is_folder():
        return _folder(path)
    if path.is_local and path.uri.count("/") == 1 and not path.uri.startswith((".", "~", "/")):
        return _folder(Location(_downloaded(path.uri)))
    raise InputError(
        f"{path}: no such file or folder, expected a dataset's folder or its name on the Hub, "
        "OWNER/NAME"
    )


def _folder(path: Location) -> Files:
    inner = ("", "data/", *(f"{word}/" for word in SPLIT_WORDS))
    found = {
        f"{folder}{name}": path / f"{folder}{name}"
        for folder in inner
        if not folder or (path / folder.rstrip("/")).is_folder()
        for name in (path / folder.rstrip("/") if folder else path).names()
        if is_table(name) and name not in METADATA
    }
    if not found:
        raise InputError(f"{path}: no Parquet, Arrow, JSONL or CSV files of a dataset in it")
    return found


METADATA = ("dataset_info.json", "dataset_dict.json", "state.json")


def _downloaded(name: str) -> str:
    """The folder in the local cache that holds a Hub dataset's tables; raises `InputError`.

    With ``HF_HUB_OFFLINE=1`` what is in the cache is taken as it is.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"*.{ending}{packed}" for ending in READERS for packed in ("", *COMPRESSED)]
    try:
        return str(Path(snapshot_download(name, repo_type="dataset", allow_patterns=patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"dataset {name!r}: neither a folder nor to be had from the Hugging Face Hub "
            f"({type(error).__name__}), nor in its cache here; check the name and the network, "
            "or give the folder of a copy"
        ) from error


def read_hugging_face(files: Files, options: Options, into: Collector) -> None:
    """Read pairs, triplets, n-tuples, labelled pairs and lists; columns by name or in order.

    Label 0 gives a negative, as a triplet does.
    """
    into.labels_negatives = True
    read_pair_files(files, options, into, in_order=True)
