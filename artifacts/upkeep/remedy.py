"""The command that makes a damaged artifact again."""

from collections.abc import Sequence

from strop.artifacts.inspection.membership import Membership

COMMANDS = {
    "import beir": "strop import beir DIR",
    "import documentation": "strop demo",
    "review": "strop review RUN --finish",
    "compare": "strop experiment CONFIG",
    "compare selections": "strop mine RUN --round N",
}
"""Stages that other commands than a run's own carry out."""


def remedy(stage: str, found: Sequence[Membership]) -> str:
    """A command line, with the run whose config or name it takes where one is known."""
    first = found[0] if found else None
    run = first.run if first else "RUN"
    command = COMMANDS.get(stage)
    if command is None:
        command = "strop assess CONFIG" if first and first.part == "assess" else "strop run CONFIG"
    command = command.replace("RUN", run)
    if first and first.round:
        command = command.replace("--round N", f"--round {first.round}")
    return f"`{command}`, CONFIG being that of run {run}" if "CONFIG" in command else f"`{command}`"
