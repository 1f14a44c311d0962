"""Import: a data set into the store, as a root that everything else is made from."""

from prefect import flow

from strop.artifacts.manifest import ArtifactRef
from strop.flows.location import Location
from strop.pipeline.data.documentation import DocumentationSizes
from strop.pipeline.data.importing import Request
from strop.tasks.import_data import import_documentation, import_request
from strop.tasks.stage import Place, call


@flow(name="import", flow_run_name="import {request.path.name}", validate_parameters=False)
def import_data(request: Request, store: Location) -> ArtifactRef:
    """Import data of any format."""
    place = Place(store, "import", request.path.name or "data")
    made: ArtifactRef = call(import_request, place, request)
    return made


@flow(name="import documentation", validate_parameters=False)
def import_docs(store: Location, sizes: dict[str, int], seed: int) -> ArtifactRef:
    """Build the demo's data set; ``sizes`` are passages, and queries by split."""
    place = Place(store, "import", "documentation")
    made: ArtifactRef = call(import_documentation, place, DocumentationSizes(**sizes), seed)
    return made
