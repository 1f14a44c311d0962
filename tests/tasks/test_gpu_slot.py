"""What whoever waits for a slot is told that no process holds."""

from types import SimpleNamespace

import pytest
from prefect.logging import disable_run_logger

from strop.tasks import gpu_slot
from strop.tasks.watching import unwatch, watch

API = "http://127.0.0.1:4217/api"


class TakenForAWhile(gpu_slot.Slot):
    """A slot that is free at the third try."""

    tries = 0

    def _try(self, client):
        self.tries += 1
        return self.tries > 3


@pytest.fixture
def told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(gpu_slot, "WAIT_SECONDS", 0.01)
    texts = []
    watcher = SimpleNamespace(waiting=lambda stage, text: texts.append(text))
    watch(watcher)
    yield texts
    unwatch(watcher)


@pytest.mark.parametrize(("seconds", "hints"), [(0.0, 1), (60.0, 0)])
def test_a_slot_that_stays_taken_though_nobody_holds_it_can_be_freed(
    told, monkeypatch, seconds, hints
):
    monkeypatch.setattr(gpu_slot, "UNSEEN_SECONDS", seconds)
    slot = TakenForAWhile(SimpleNamespace(api_url=API), "gpu", "train · round 1", None)
    with disable_run_logger():
        slot.take()
    assert len(told) == 1 + hints, "once each"
    if hints:
        assert (
            f"`PREFECT_API_URL={API} prefect gcl update gpu --active-slots 0` frees it" in told[1]
        )
