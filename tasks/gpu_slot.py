"""The slot of a stage that computes with a reranker: one of them at a time per GPU.

It is a global concurrency limit of Prefect, held by a lease that is renewed while the stage works.
The lease of a killed process expires within a minute; on the same host whoever waits gives it back
at once. A slot is taken only to make an artifact, so that a stage that is reused waits for nobody.
"""

import contextlib
import contextvars
import errno
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectAlreadyExists, PrefectException
from prefect.logging import get_run_logger

from strop.tasks import slot_holders
from strop.tasks.cancelling import stop_if_cancelled
from strop.tasks.prompt_client import prompt_client
from strop.tasks.watching import watchers

LEASE_SECONDS = 60.0
"""The shortest that Prefect's server grants."""
RENEW_SECONDS = 15.0
WAIT_SECONDS = 2.0
UNSEEN_SECONDS = LEASE_SECONDS + RENEW_SECONDS
"""After so long the server has freed the slot of a process that is gone, wherever it was."""
FAULTS = (httpx.HTTPError, PrefectException)

_lost = threading.Event()


@contextlib.contextmanager
def slot(limit: str | None, stage: str) -> Iterator[None]:
    """Hold a slot of the limit while entered, having waited for it; nothing for no limit.

    Outside a task run there is no server to ask, and no slot.
    """
    context = TaskRunContext.get()
    if limit is None or context is None:
        yield
        return
    holder = ConcurrencyLeaseHolder(type="task_run", id=context.task_run.id)
    with prompt_client() as client:
        lease = Slot(client, limit, stage, holder)
        lease.take()
        try:
            with lease.kept():
                yield
        finally:
            lease.give_back()


def stop_if_slot_lost() -> None:
    """Raise an error that is worth a retry when another process here computes on our slot."""
    if _lost.is_set():
        raise OSError(errno.ESTALE, "the slot was lost to another process; waiting for it again")


class Slot:
    """One slot of a limit, of this process."""

    def __init__(
        self, client: SyncPrefectClient, limit: str, stage: str, holder: ConcurrencyLeaseHolder
    ) -> None:
        """Name the limit, and for what it is held."""
        self._client = client
        self._limit = limit
        self._stage = stage
        self._holder = holder
        self._lease: UUID | None = None

    def take(self) -> None:
        """Wait until there is a free slot; whoever cancels the run ends the waiting too."""
        said = ended = hinted = False
        began = time.monotonic()
        while not self._try(self._client):
            freed = self._free_those_of_the_dead()
            ended = ended or freed
            if not said and not freed:
                self._say_who_holds_it("a process that has ended" if ended else "another machine")
                said = True
            if not hinted and time.monotonic() - began > UNSEEN_SECONDS and not self._others():
                self._say_how_to_free_it()
                hinted = True
            stop_if_cancelled()
            time.sleep(WAIT_SECONDS)
        _lost.clear()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease while entered."""
        stop = threading.Event()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._renew, stop), name=f"slot {self._limit}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()

    def give_back(self) -> None:
        """Free the slot; where the server does not answer, its lease expires."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(*FAULTS):
                self._client.release_concurrency_slots_with_lease(lease)
            slot_holders.forget(str(lease))

    def _try(self, client: SyncPrefectClient) -> bool:
        """Whether a slot could be had; a limit that does not exist is made, with one slot."""
        try:
            answer = client.increment_concurrency_slots_with_lease(
                [self._limit], 1, "concurrency", LEASE_SECONDS, self._holder
            ).json()
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.LOCKED:
                return False
            raise
        if not answer["limits"]:
            make_limit(client, self._limit)
            return self._try(client)
        self._lease = UUID(answer["lease_id"])
        slot_holders.note(str(client.api_url), self._limit, str(self._lease), self._stage)
        return True

    def _free_those_of_the_dead(self) -> bool:
        """Whether there were slots of processes of this host that are gone."""
        freed = False
        for holder in slot_holders.holders(str(self._client.api_url), self._limit):
            if not holder.process.lives():
                with contextlib.suppress(*FAULTS):
                    self._client.release_concurrency_slots_with_lease(UUID(holder.lease_id))
                slot_holders.forget(holder.lease_id)
                freed = True
        return freed

    def _say_who_holds_it(self, unseen: str) -> None:
        others = self._others()
        who = f"{others[0].run} in process {others[0].process.pid}" if others else unseen
        get_run_logger().info("waiting for the slot %s, which %s holds", self._limit, who)
        for watcher in watchers():
            watcher.waiting(self._stage, f"the slot {self._limit}, which {who} holds")

    def _say_how_to_free_it(self) -> None:
        """A server that was ended, or had a full disk, may have lost the lease of a taken slot."""
        address = f"PREFECT_API_URL={str(self._client.api_url).rstrip('/')}"
        free = f"{address} prefect gcl update {self._limit} --active-slots 0"
        text = f"no process of this user here holds it; if nobody else's does, `{free}` frees it"
        get_run_logger().warning("waiting for the slot %s: %s", self._limit, text)
        for watcher in watchers():
            watcher.waiting(self._stage, f"the slot {self._limit}: {text}")

    def _others(self) -> list[slot_holders.SlotHolder]:
        """Processes of this host that live and hold the limit beside us."""
        found = slot_holders.holders(str(self._client.api_url), self._limit)
        return [
            item for item in found if item.lease_id != str(self._lease) and item.process.lives()
        ]

    def _renew(self, stop: threading.Event) -> None:
        with prompt_client() as client:
            while not stop.wait(RENEW_SECONDS):
                with contextlib.suppress(*FAULTS):
                    self._renew_once(client, stop)

    def _renew_once(self, client: SyncPrefectClient, stop: threading.Event) -> None:
        """Renew; take the slot anew where the server gave it up while it or we were away."""
        lease = self._lease
        if lease is None:
            return
        try:
            client.renew_concurrency_lease(lease, LEASE_SECONDS)
            return
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                raise
        slot_holders.forget(str(lease))
        if stop.is_set() or self._try(client):
            return
        # On this machine somebody computes on our slot; elsewhere it is another GPU's, or a
        # server that forgot its leases, for which no training is given up.
        if self._others():
            _lost.set()


def make_limit(client: SyncPrefectClient, name: str) -> None:
    """A limit of one slot, unless there is one of that name: then it stays as it is."""
    wanted = GlobalConcurrencyLimitCreate(name=name, limit=1, active=True)
    with contextlib.suppress(ObjectAlreadyExists):
        try:
            client.create_global_concurrency_limit(wanted)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
