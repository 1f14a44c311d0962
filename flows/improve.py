"""Improve: prepare once, repeat rounds, promote, assess."""

from prefect import flow
from prefect.logging import get_run_logger

from strop.flows.accepted import why_stopped
from strop.flows.assess import assess
from strop.flows.contents import show_contents
from strop.flows.location import Location
from strop.flows.prepare import prepare
from strop.flows.promote import promote_last
from strop.flows.round import one_round
from strop.flows.session import hold
from strop.flows.watched import announce
from strop.pipeline.config import Config

OUTCOMES = {True: "accepted", False: "rejected; the next one starts from the last accepted"}


@flow(name="improve", flow_run_name="improve {config.name}")
def improve(config: Config, store: Location = ".strop", read_test: bool = True) -> str:
    """Sharpen a reranker over all rounds of a config; returns what became of the champion.

    A round that is rejected is not mined with: the next one starts from the last accepted, or the
    rounds end where the config's patience does.

    Args:
        config: Every value of the run; a key that is left out has its default.
        store: A folder, or s3://bucket/prefix (gs://, az://), that keeps the artifacts.
        read_test: Whether the test split is read, at the very end.
    """
    log = get_run_logger()
    with hold(config, store) as session:
        prepare(config, store)
        show_contents(session.run)
        for number in range(1, config.rounds + 1):
            accepted = one_round(config, number, store)
            log.info("round %d of %d %s", number, config.rounds, OUTCOMES[accepted])
            show_contents(session.run)
            if reason := why_stopped(session, number):
                log.info(reason)
                announce(reason)
                break
        reason = promote_last(config, store)
        log.info(reason)
        assess(config, store, read_test)
        show_contents(session.run)
        session.run.finish(session.lease, reason)
        return reason
