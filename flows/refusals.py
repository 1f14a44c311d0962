"""Refusals in the log of a flow run: one line, as on the terminal, and no traceback."""

import logging

from strop.artifacts.errors import StoreError
from strop.pipeline.errors import InputError, WorkLost

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


def tell_refusals_in_one_line() -> None:
    """Have prefect's logs, in the UI and of a worker, say what has to be mended and no more.

    What raised it is of no use to who mends a config. The state of the run keeps the message.
    """
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_in_one_line)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Put the error in place of its traceback; drop what the same run has said of it before."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, InputError | StoreError | WorkLost):
        return True
    told: set[object] = error.__dict__.setdefault("told_in_runs", set())
    run = getattr(record, "flow_run_id", None)
    said_before = run in told
    told.add(run)
    record.msg = "lost: %s" if isinstance(error, WorkLost) else "refused: %s"
    record.args = (str(error),)
    record.exc_info = record.exc_text = None
    return not said_before
