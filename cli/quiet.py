"""What other libraries say on the terminal: nothing, except real errors, one line each."""

import logging
import os
import sys
import warnings

# Read when the libraries are imported, and inherited by processes that we start.
HUSHED = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

# prefect logs what its runs raise, which the command prints itself; asyncio logs what is left
# open at the exit of an interrupted run.
SILENCED = ("prefect", "asyncio")


class LibraryErrors(logging.Handler):
    """Prints errors that libraries log, one line each and without tracebacks."""

    def __init__(self) -> None:
        """Take errors and worse."""
        super().__init__(logging.ERROR)
        self.setFormatter(logging.Formatter())  # prefect respects only handlers that have one

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what SILENCED names."""
        return record.name.partition(".")[0] not in SILENCED

    def emit(self, record: logging.LogRecord) -> None:
        """Print to the stderr of now, which a live display may have replaced."""
        text = " ".join(f"{record.name}: {record.getMessage()}".split())
        print(text, file=sys.stderr)


def quiet_terminal() -> None:
    """Hush the libraries for the rest of this process, its exit included.

    Call it before prefect, torch or transformers are imported. Variables that the user has set
    and ``python -W`` stay in force. Flow logs still reach the server.
    """
    for key, value in HUSHED.items():
        os.environ.setdefault(key, value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.raiseExceptions = False  # or a log that finds no server prints a traceback
    root = logging.getLogger()
    if not any(isinstance(handler, LibraryErrors) for handler in root.handlers):
        root.addHandler(LibraryErrors())  # prefect then leaves the root logger alone
