"""Import: a data set into the store, as a root that everything else is made from."""

from pathlib import Path
from typing import Any

from prefect import flow

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.data.beir_import import import_beir
from strop.pipeline.data.documentation import DocumentationSizes
from strop.pipeline.data.splits import SplitRule
from strop.tasks.import_data import import_beir_folder, import_documentation
from strop.tasks.stage import Place, call


@flow(name="import", flow_run_name="import {path}", validate_parameters=False)
def import_data(
    path: Path, store: Path, dev_share: float = 0.1, gate_share: float = 0.5, seed: int = 1
) -> ArtifactRef:
    """Import a BEIR folder."""
    place = Place(store, "import", path.name or "data")
    rule = SplitRule(dev_share, gate_share, seed)
    made: ArtifactRef = call(import_beir_folder, place, path, rule)
    return made


@flow(name="import documentation", validate_parameters=False)
def import_docs(store: Path, sizes: dict[str, int], seed: int) -> ArtifactRef:
    """Build the demo's data set; ``sizes`` are passages, and queries by split."""
    place = Place(store, "import", "documentation")
    made: ArtifactRef = call(import_documentation, place, DocumentationSizes(**sizes), seed)
    return made


def check_data(path: Path, dev_share: float, gate_share: float, seed: int) -> dict[str, Any]:
    """Read and check a BEIR folder without keeping anything; returns its counts."""
    rule = SplitRule(dev_share, gate_share, seed)
    return import_beir(path, rule, write_corpus=lambda table: None).summary
