"""Automations of what is deployed or served: silent runs become Crashed, failures are told of."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from strop.pipeline.errors import InputError

if TYPE_CHECKING:
    from prefect.events.schemas.automations import AutomationCore

SILENT, TELL = "strop: silent runs are crashed", "strop: tell of failed runs"
SILENT_SECONDS = 90
"""Three heartbeats."""
ENDINGS = ("Completed", "Failed", "Cancelled", "Cancelling", "Crashed", "Paused", "Suspended")
FAILURES = ("Failed", "Crashed", "TimedOut")
SUBJECT = "strop: {{ flow_run.name }} is {{ flow_run.state.name }}"
BODY = """{{ flow_run.name }}: {{ flow_run.state.message }}
{{ flow_run|ui_url }}
The next run of the same config goes on where this one stopped."""


def make_automations(notify: str | None) -> list[str]:
    """Make or renew the automations; returns their names.

    ``notify`` names a notification block as ``TYPE/NAME``; without one nobody is told. Raises
    `InputError` for a block that the server does not have.
    """
    wanted = [_silent_runs()]
    if notify is not None:
        wanted.append(_failed_runs(_block_id(notify)))
    for automation in wanted:
        _put(automation)
    return [automation.name for automation in wanted]


def _silent_runs() -> "AutomationCore":
    """A run that has beaten once and then neither beats nor ends has lost its process."""
    from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture
    from prefect.client.schemas.objects import StateType

    from strop.flows.heartbeats import BEAT
    from strop.flows.nightly import UNCHANGED

    return AutomationCore(
        name=SILENT,
        description="Marks a flow run as Crashed whose process has been silent for "
        f"{SILENT_SECONDS} seconds.",
        trigger=EventTrigger(
            after={BEAT},
            expect={BEAT, *(f"prefect.flow-run.{ending}" for ending in (*ENDINGS, UNCHANGED))},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                force=False,
                message=f"silent for {SILENT_SECONDS} seconds: its process is gone; the same "
                "command or the next run resumes",
            )
        ],
    )


def _failed_runs(block: Any) -> "AutomationCore":
    """Runs of deployments only: their subflows fail with them, and a terminal has its reader."""
    from prefect.automations import AutomationCore, EventTrigger, Posture, SendNotification

    scheduled: Any = {
        "prefect.resource.role": "deployment",
        "prefect.resource.id": "prefect.deployment.*",
    }
    return AutomationCore(
        name=TELL,
        description="Tells of runs of strop's deployments that failed or crashed.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{failure}" for failure in FAILURES},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=scheduled,
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block, subject=SUBJECT, body=BODY)],
    )


def _block_id(text: str) -> Any:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    kind, slash, name = text.partition("/")
    if not (slash and kind and name):
        raise InputError(f"--notify {text!r}: expected TYPE/NAME, such as slack-webhook/team")
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name, kind, include_secrets=False).id
        except ObjectNotFound as error:
            raise InputError(
                f"--notify {text}: the server has no such block; make one under Blocks in the UI, "
                "of a type such as slack-webhook, email or custom-webhook"
            ) from error


def _put(automation: "AutomationCore") -> None:
    """Make the automation, or renew the one of its name where it says something else.

    One that is renewed forgets what it has counted: whose process was lost before would never
    be missed.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(automation.name)
        if not found:
            client.create_automation(automation)
        elif _said(found[0]) != _said(automation):
            client.update_automation(found[0].id, automation)


def _said(automation: "AutomationCore") -> dict[str, Any]:
    from prefect.automations import AutomationCore

    return automation.model_dump(include=set(AutomationCore.model_fields))
