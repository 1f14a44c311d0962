"""Words with a server that is going away: real requests to one that hangs up."""

import socketserver
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from strop.tasks import passing_word
from strop.tasks.passing_word import in_passing, server_is_away


class HangsUp(socketserver.BaseRequestHandler):
    """Prefect's client sends a request again that was answered so, after seconds."""

    def handle(self) -> None:
        """Read the request, and say nothing."""
        self.request.recv(4096)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(passing_word, "_away_until", [0.0])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangsUp) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}/api"
        found.shutdown()


def test_a_server_that_is_away_is_asked_once_and_then_left_alone(server: str) -> None:
    settings = {PREFECT_API_URL: server, PREFECT_CLIENT_MAX_RETRIES: 4}
    started = time.monotonic()
    with temporary_settings(updates=settings):
        assert not server_is_away()
        with in_passing(), get_client(sync_client=True) as client:
            client.read_flow_run(uuid4())
    assert time.monotonic() - started < passing_word.ANSWER_SECONDS
    assert server_is_away()


def test_other_faults_are_not_let_go(server: str) -> None:
    with pytest.raises(ZeroDivisionError), in_passing():
        raise ZeroDivisionError
    assert not server_is_away()
