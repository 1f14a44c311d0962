"""Words with a server that is away: real requests to a port where nobody listens."""

import socket
import time
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from strop.tasks import passing_word
from strop.tasks.passing_word import in_passing, server_is_away


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(passing_word, "_away_until", [0.0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/api"


def test_a_server_that_is_away_is_asked_once_and_then_left_alone(nobody: str) -> None:
    settings = {PREFECT_API_URL: nobody, PREFECT_CLIENT_MAX_RETRIES: 4}
    started = time.monotonic()
    with temporary_settings(updates=settings):
        assert not server_is_away()
        with in_passing(), get_client(sync_client=True) as client:
            client.read_flow_run(uuid4())
    assert time.monotonic() - started < passing_word.ANSWER_SECONDS
    assert server_is_away()


def test_other_faults_are_not_let_go(nobody: str) -> None:
    with pytest.raises(ZeroDivisionError), in_passing():
        raise ZeroDivisionError
    assert not server_is_away()
