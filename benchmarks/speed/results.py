"""Tables of results: written as Markdown, and compared with the ones before."""

import datetime
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results"
FALLEN = 0.85
"""A ratio below this share of the one before has fallen."""
COMPARED = "CPU ratio"
"""The column that is compared: wall time says more of who else uses the machine."""
MACHINE = re.compile(r"^- Machine: (.+?), \d+ cores", re.MULTILINE)
RATIO = re.compile(r"^(\d+\.\d+)(?: \(|$)")


def markdown(
    title: str, facts: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """A page with a list of facts and one table."""
    lines = [f"# {title}", "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join(lines) + "\n" + table(header, rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One table."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def circumstances(versions: dict[str, str], threads: int, precision: str = "fp32") -> list[str]:
    """Command, date, machine, load and versions."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    command = " ".join([f"python -m benchmarks.speed.{Path(sys.argv[0]).stem}", *_arguments()])
    named = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    return [
        f"Command: `{command}`",
        f"Date: {datetime.date.today().isoformat()}",
        f"Machine: {processor()}, {os.cpu_count()} cores; {threads} thread{'s' * (threads > 1)} a "
        f"side, {precision}; load average at the end {load}",
        f"Versions: Python {platform.python_version()}, {named}",
    ]


def _arguments() -> list[str]:
    """What was asked for, without the folders of the machine it ran on."""
    return [Path(word).name if "/" in word else word for word in sys.argv[1:]]


def processor() -> str:
    """This machine's processor by name, with its family where Linux tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"model name\s*: (.+)", text)
    family = re.search(r"cpu family\s*: (\d+)", text)
    name = found.group(1).strip() if found else platform.machine()
    return f"{name} (family {family.group(1)})" if family else name


def ratios(page: str) -> dict[str, float]:
    """The CPU ratios of a page's table by row: cells like ``1.85 (1.80–1.92)``."""
    table = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    if not table:
        return {}
    column = table[0].index(COMPARED)
    return {
        row[0]: float(found.group(1)) for row in table[1:] if (found := RATIO.match(row[column]))
    }


def fallen(before: str, now: str) -> list[str]:
    """One line for every ratio that fell by more than 15 %."""
    old = ratios(before)
    return [
        f"{row}: {value:.2f}, was {old[row]:.2f}"
        for row, value in ratios(now).items()
        if row in old and value < FALLEN * old[row]
    ]


def page_path(name: str) -> Path:
    """Where this processor's page is: ``name.md``, or beside it where that is another one's."""
    first = RESULTS / f"{name}.md"
    if not first.exists() or processor_of(first.read_text(encoding="utf-8")) == processor():
        return first
    return RESULTS / f"{name}.{slug(processor())}.md"


def processor_of(page: str) -> str | None:
    """The processor that a page was measured on."""
    found = MACHINE.search(page)
    return found.group(1) if found else None


def slug(text: str) -> str:
    """The text in letters, digits and underscores, for the name of a file."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def publish(name: str, page: str, *, write: bool) -> bool:
    """Print a page; write it, or compare it with the committed one. False when a ratio fell.

    Ratios depend on the processor: one that fell below another processor's is named, and no more.
    """
    print(page)
    path = page_path(name)
    if write:
        path.write_text(page, encoding="utf-8")
        return True
    same = path.exists()
    path = path if same else RESULTS / f"{name}.md"
    if not path.exists():
        print(f"no committed {path.name} to compare with")
        return True
    before = path.read_text(encoding="utf-8")
    if not same:
        print(f"{path.name} is of another processor, {processor_of(before)}; of this one is none")
    lines = fallen(before, page)
    for line in lines:
        print(f"fell by more than 15 %: {line}")
    return not (lines and same)
