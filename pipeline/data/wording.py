"""How a person said what to make of the data: with options of a command, or keys of a config."""

from dataclasses import dataclass

KEYS = {
    "dev_share": "dev_share",
    "gate_share": "gate_share",
    "test_share": "data.test_share",
    "split_by": "data.split_by",
    "time_field": "data.time_field",
}
"""The config's keys of what a split rule says."""


@dataclass(frozen=True)
class Wording:
    """Names what was said as the person who said it would."""

    in_config: bool = False

    def column(self, meaning: str, column: str = "NAME") -> str:
        """A column that was named, or is to be."""
        if self.in_config:
            return f"data.columns: {{{meaning}: {column}}}"
        return f"--column {meaning}={column}"

    def key(self, name: str) -> str:
        """What a split rule's value is called."""
        return KEYS[name] if self.in_config else f"--{name.replace('_', '-')}"

    def value(self, name: str, value: object) -> str:
        """The same with its value."""
        return f"{self.key(name)}{' = ' if self.in_config else ' '}{value}"


COMMAND_LINE, CONFIG = Wording(), Wording(in_config=True)
