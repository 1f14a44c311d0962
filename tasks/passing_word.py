"""Words with Prefect's server that work must not wait for.

Where a server is away, Prefect's client asks again for minutes, and so would every step of a
training that looks whether it was cancelled. What is asked here is asked once, and where there is
no answer nothing is asked for a while.
"""

import contextlib
import time
from collections.abc import Iterator

import httpx
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

ANSWER_SECONDS = 5.0
AWAY_SECONDS = 30.0
"""How long a server that did not answer is left alone."""

_away_until = [0.0]


def server_is_away() -> bool:
    """Whether the server did not answer a short while ago."""
    return time.monotonic() < _away_until[0]


@contextlib.contextmanager
def in_passing() -> Iterator[None]:
    """Ask once and briefly while entered; what the server does not answer is let go."""
    asked_once = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: ANSWER_SECONDS}
    try:
        with temporary_settings(updates=asked_once):
            yield
    except (httpx.HTTPError, PrefectException) as error:
        if isinstance(error, httpx.TransportError):
            _away_until[0] = time.monotonic() + AWAY_SECONDS
