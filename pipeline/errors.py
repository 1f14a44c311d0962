"""The errors of bad input and of lost work, and the words of their values and counts."""

import re


class InputError(ValueError):
    """Input that a person can mend: names the thing, the value found and the way out.

    The command line prints it as one line and exits with 2.
    """


class WorkLost(RuntimeError):
    """Work that broke through no fault of its input, such as a cluster's: says what to do.

    The command line prints it as one line and exits with 1.
    """


def valued(what: str, value: object) -> str:
    """A value as it was given: ``seed = 1`` for a config's key, ``--seed 1`` for an option."""
    return f"{what} {value!r}" if what.startswith("-") else f"{what} = {value!r}"


def counted(count: int, things: str) -> str:
    """``3 queries``, ``1 query``, ``1,000 queries with fewer negatives``."""
    return f"{count:,} {singular(things) if count == 1 else things}"


def singular(words: str) -> str:
    """One of what the words count: ``queries with fewer negatives`` is a query with these."""
    head, *rest = re.split(r"(?= (?:with|without|at|of|left) )", words, maxsplit=1)
    one = f"{head[:-3]}y" if head.endswith("ies") else re.sub(r"(?<!s)s$", "", head)
    return "".join([one, *rest])
