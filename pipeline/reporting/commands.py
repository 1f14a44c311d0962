"""The commands that make a report again."""

from collections.abc import Mapping

COMMANDS = """\
# strop {version}; save the config above as strop.yaml
strop run strop.yaml   # all rounds: goes on, or finds every stage in the store
{this}   # this report
{mine}strop artifacts lineage ID   # what an id above was made from
"""
MINE = """\
strop mine {name} --round {last} --margin 0.5   # another choice of negatives, without scoring
"""


def commands(name: str, version: str, *, round_: int | None, mined_by: Mapping[int, str]) -> str:
    """The commands for a run's report, or for that of one ``round_``, and to look further.

    ``mined_by`` says of every round whose scores mined it. The last one that a reranker had a part
    in is to be mined again: the first stage's scores have a margin of their own.
    """
    last = max((number for number, who in mined_by.items() if who != "first_stage"), default=0)
    this = f"strop round strop.yaml --round {round_}" if round_ else "strop assess strop.yaml"
    mine = MINE.format(name=name, last=last) if last else ""
    return COMMANDS.format(version=version, this=this, mine=mine)
