"""The blocks that a report is made of, and how each is written as HTML and as Markdown."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int = 2

    def html(self) -> str:
        """As an ``<h1>`` or ``<h2>``."""
        return f"<h{self.level}>{escape(self.text)}</h{self.level}>"

    def markdown(self) -> str:
        """As a line of one or two hashes."""
        return f"{'#' * self.level} {plain(self.text)}"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; its ``role`` is text, lead (the verdict) or note (small print)."""

    text: str
    role: str = "text"

    def html(self) -> str:
        """As a ``<p>`` of its role's class."""
        return f'<p class="{self.role}">{escape(self.text)}</p>'

    def markdown(self) -> str:
        """As a paragraph, bold for the verdict."""
        return f"**{plain(self.text)}**" if self.role == "lead" else plain(self.text)


@dataclass(frozen=True)
class Items:
    """A bulleted list; ``alarming`` items stand out."""

    texts: Sequence[str]
    alarming: bool = False

    def html(self) -> str:
        """As a ``<ul>``."""
        items = "".join(f"<li>{escape(text)}</li>" for text in self.texts)
        return f'<ul class="{"alarms" if self.alarming else "items"}">{items}</ul>'

    def markdown(self) -> str:
        """As a list of dashes."""
        return "\n".join(f"- {plain(text)}" for text in self.texts)


@dataclass(frozen=True)
class Grid:
    """A table: the first ``num_text_columns`` are aligned left, the others are numbers.

    Rows whose index is in ``strong`` stand out; with ``wrapped`` the first column holds sentences.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_text_columns: int = 1
    strong: frozenset[int] = frozenset()
    wrapped: bool = False

    def html(self) -> str:
        """As a ``<table>`` that scrolls sideways where the page is narrow."""
        head = "".join(self._cell("th", i, text) for i, text in enumerate(self.columns))
        body = "".join(
            ('<tr class="strong">' if number in self.strong else "<tr>")
            + "".join(self._cell("td", i, text) for i, text in enumerate(row))
            + "</tr>"
            for number, row in enumerate(self.rows)
        )
        kind = ' class="wrapped"' if self.wrapped else ""
        table = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroll">{table}</div>'

    def markdown(self) -> str:
        """As a pipe table."""
        rule = ["---" if i < self.num_text_columns else "---:" for i in range(len(self.columns))]
        lines = [[plain(c) for c in self.columns], rule]
        for number, row in enumerate(self.rows):
            cells = [plain(text) for text in row]
            lines.append([f"**{c}**" if number in self.strong and c else c for c in cells])
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def _cell(self, tag: str, column: int, text: str) -> str:
        kind = "" if column < self.num_text_columns else ' class="number"'
        return f"<{tag}{kind}>{escape(text)}</{tag}>"


@dataclass(frozen=True)
class Picture:
    """An SVG of our own making, trusted as it is, with a caption."""

    svg: str
    caption: str

    def html(self) -> str:
        """As an inline figure."""
        return f"<figure>{self.svg}<figcaption>{escape(self.caption)}</figcaption></figure>"

    def markdown(self) -> str:
        """As a data-URI image, the form that Prefect's UI shows."""
        data = base64.b64encode(self.svg.encode()).decode()
        return f"![{plain(self.caption)}](data:image/svg+xml;base64,{data})"


@dataclass(frozen=True)
class Code:
    """Text as it is, e.g. the config; in HTML folded under its title."""

    text: str
    title: str

    def html(self) -> str:
        """As a ``<details>`` with a ``<pre>``."""
        summary = f"<summary>{escape(self.title)}</summary>"
        return f"<details>{summary}<pre>{escape(self.text)}</pre></details>"

    def markdown(self) -> str:
        """As a fenced block whose fence is longer than any in the text."""
        longest = max((len(run) for run in re.findall(r"`+", self.text)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"{fence}\n{self.text.rstrip()}\n{fence}"


Block = Heading | Paragraph | Items | Grid | Picture | Code


def plain(text: str) -> str:
    """Text on one line, with the characters escaped that Markdown or HTML would read as markup."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;"))


STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1f2834; --soft: #5b6673; --line: #e3e7ec;
  --faint: #d9dee5; --panel: #f6f8fa; --first-stage: #56606b; --reranker: #d55e00;
  --fused: #0072b2; --positive: #0072b2; --negative: #d55e00; --alarm: #a33c00; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --ink: #e6eaef; --soft: #a3aebb;
  --line: #2c343d; --faint: #38424d; --panel: #1c2229; --first-stage: #aab4bf;
  --reranker: #f59450; --fused: #5bb4e8; --positive: #5bb4e8; --negative: #f59450;
  --alarm: #ffb38a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 0.6rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
p.lead { background: var(--panel); border-left: 4px solid var(--fused); border-radius: 4px;
  padding: 0.9rem 1.1rem; font-size: 1.08rem; max-width: none; }
p.note { color: var(--soft); font-size: 0.88rem; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.42rem 0.7rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; border-bottom-width: 2px; }
th:first-child, td:first-child { padding-left: 0.2rem; }
td:first-child { min-width: 9rem; overflow-wrap: anywhere; }
.wrapped td { white-space: normal; width: 33%; }
.number { text-align: right; white-space: nowrap; }
tr.strong td { font-weight: 650; background: var(--panel); }
figure { margin: 1rem 0 1.6rem; max-width: 46rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: 0.88rem; margin-top: 0.3rem; }
ul { padding-left: 1.2rem; max-width: 52rem; }
li { margin: 0.3rem 0; }
ul.alarms li { color: var(--alarm); }
details { margin: 0.8rem 0; }
summary { cursor: pointer; }
pre { background: var(--panel); padding: 0.9rem 1.1rem; border-radius: 4px; overflow-x: auto;
  font-size: 0.83rem; line-height: 1.45; }
@media (max-width: 46rem) { body { padding: 1.25rem 1rem 3rem; } table { font-size: 0.8rem; }
  figure { overflow-x: auto; } figure svg { min-width: 32rem; }
  figcaption { position: sticky; left: 0; }
  th, td { padding: 0.38rem 0.4rem; } td:first-child { min-width: 6.5rem; } }
@media print { details { display: block; } body { max-width: none; } }
"""


def page(title: str, blocks: Sequence[Block]) -> str:
    """The blocks as one HTML page that opens without a network."""
    body = "\n".join(block.html() for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def document(blocks: Sequence[Block]) -> str:
    """The blocks as one Markdown document."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"
