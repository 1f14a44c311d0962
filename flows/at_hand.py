"""What a command can refuse at once: a look that neither loads Prefect nor starts its server."""

from strop.artifacts.names import looks_like_id
from strop.pipeline.config import Config
from strop.pipeline.data.configured import configured_request
from strop.pipeline.errors import InputError
from strop.pipeline.models import check_folder
from strop.tasks.cluster_checks import require_answer


def check_at_hand(config: Config) -> None:
    """Raise `InputError` for files of the data set that are not there, and for no model's folder.

    So too for a cluster's address where nothing answers. The stages look again; this tells a wrong
    path in a second, before there is a store.
    """
    if not looks_like_id(config.dataset):
        configured_request(config).files()
    if config.first_stage.ranking != "bm25":
        check_folder(config.bi_encoder.model, "bi_encoder.model")
    if not looks_like_id(config.reranker.base):
        check_folder(config.reranker.base, "reranker.base")
    if config.execution.runner == "ray" and config.execution.address is not None:
        require_answer(config.execution.address)


def check_round(config: Config, number: int) -> None:
    """Raise `InputError` for a round past the config's last."""
    if number > config.rounds:
        raise InputError(
            f"round {number}: the config has rounds = {config.rounds}, where the learning rate's "
            f"course and the curriculum end; expected a number (--round) from 1 to {config.rounds}"
        )
