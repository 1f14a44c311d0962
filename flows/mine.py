"""Mine: another choice of a round's negatives from the scores that it has; no round takes it."""

from dataclasses import replace

from prefect import flow

from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.inner_config import InnerConfig
from strop.flows.location import Location
from strop.flows.session import PREPARE, round_part
from strop.pipeline.config import Config
from strop.tasks.feed_back import size_of_selection
from strop.tasks.mine import compare_selections, list_negatives, select_candidates
from strop.tasks.mining_inputs import inputs_of_selection
from strop.tasks.review import find_verdicts
from strop.tasks.stage import Place, call


@flow(name="mine", flow_run_name="mine {config.name} round {number}", validate_parameters=False)
def mine(
    config: InnerConfig, changed: InnerConfig, number: int, store: Location
) -> tuple[ArtifactRef, ArtifactRef]:
    """Select again with a changed ``mining`` config; returns what that changes, and the negatives.

    The run itself stays as it is.
    """
    opened = Store(store)
    recorded = recorded_selection(opened, config, number)
    prepared = Run(opened, config.name).parts()[PREPARE]
    place = Place(opened.location, config.name, f"round {number} again")
    inputs = inputs_of_selection(opened, recorded, prepared["ranking_dev"])
    if changed.mining.verdicts not in (None, config.mining.verdicts):
        said = call(find_verdicts, place, changed.mining.verdicts, prepared["dataset"])
        inputs = replace(inputs, verdicts=said)
    selection = call(
        select_candidates,
        place,
        inputs,
        changed,
        number,
        size_of_selection(opened, recorded, config, changed),
    )
    negatives = call(list_negatives, place, prepared["dataset"], selection)
    return call(compare_selections, place, recorded, selection), negatives


def recorded_selection(store: Store, config: Config, number: int) -> ArtifactRef:
    """The selection that the run made in a round; raises `NotFound`."""
    made = Run(store, config.name).parts().get(round_part(number), {})
    if "selection" in made:
        return made["selection"]
    if not 1 <= number <= config.rounds:
        raise NotFound(f"run {config.name}: has rounds 1 to {config.rounds}, not {number}")
    raise NotFound(
        f"run {config.name}: round {number} has not been mined yet; "
        f"strop round CONFIG --round {number} does it"
    )
