"""A Prefect client that asks again at once where the server's SQLite was just written to.

Such a server answers 503 to one request in three that reads before it writes, as those for slots
do, and Prefect's own client then sleeps for two seconds.
"""

import ssl
import time
from functools import cache
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL

SECONDS, TRIES = 0.1, 20
CONNECT_TRIES = 3
"""As Prefect sets for its own transport."""


class Promptly(httpx.HTTPTransport):
    """Sends a request again when the answer is 503, a few times."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; the last 503 where it stays at that."""
        for _ in range(TRIES):
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            answer.close()
            time.sleep(SECONDS)
        return super().handle_request(request)


def prompt_client() -> SyncPrefectClient:
    """A client of this flow's server; one behind TLS is asked as Prefect always does."""
    if not str(PREFECT_API_URL.value()).startswith("http://"):
        return get_client(sync_client=True)
    verify = _certificates()
    transport = Promptly(verify=verify, retries=CONNECT_TRIES)
    settings: dict[str, Any] = {"transport": transport, "verify": verify}
    return get_client(httpx_settings=settings, sync_client=True)


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: it takes 20 ms, and every stage with a slot makes two clients."""
    return httpx.create_ssl_context()
