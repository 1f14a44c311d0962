"""Names of the runs that are made beside a config's own, which bear its name and more.

Each raises `InputError`, naming what was asked for, where the store would not take the name.
"""

from strop.artifacts.refs import NAME
from strop.pipeline.errors import InputError

KEY_DIGITS = 8
LONGEST = 64


def branch_name(run: str, branch: str) -> str:
    """The run of a branch, where a round is repeated with other values."""
    return _joined(run, branch, f"--branch {branch!r}")


def arm_name(run: str, arm: str, seed: int) -> str:
    """The run of an experiment's arm at a seed."""
    return _joined(run, f"{arm}.seed-{seed}", f"arm {arm!r}")


def night_name(run: str, digest: str) -> str:
    """The run of a night, by the digest of all that it depends on."""
    return _joined(run, digest[:KEY_DIGITS], "a nightly run")


def check_nights(run: str) -> None:
    """Refuse a config whose nights could have no names."""
    night_name(run, "0" * KEY_DIGITS)


def _joined(run: str, end: str, what: str) -> str:
    name = f"{run}.{end}"
    if not NAME.fullmatch(end):
        raise InputError(
            f"{what}: expected lower-case letters, digits, '.', '_' or '-', at most {LONGEST}"
        )
    if len(name) > LONGEST:
        raise InputError(
            f"{what}: its run {name!r} would have {len(name)} characters, expected at most "
            f"{LONGEST}; the config's name is {run!r}"
        )
    return name
