"""A lineage as a picture: Mermaid for Markdown pages, and SVG that needs no other program."""

from html import escape

from strop.artifacts.inspection.catalog import Entry
from strop.artifacts.inspection.lineage import Key, Lineage

BOX_WIDTH, BOX_HEIGHT = 176, 44
GAP_X, GAP_Y, MARGIN = 72, 18, 16
STYLE = (
    "text{font:12px sans-serif;fill:#1c1c1c}.id{font:11px monospace;fill:#555}"
    ".box{fill:#fff;stroke:#8a8a8a}.target{fill:#e7f0fb;stroke:#1f5fa8;stroke-width:2}"
    ".gone{fill:#fbeaea;stroke:#b3261e;stroke-dasharray:4 3}.edge{fill:none;stroke:#9a9a9a}"
)


def mermaid(found: Lineage) -> str:
    """The lineage as a Mermaid flow chart; inputs that are gone have a dashed box."""
    lines = ["flowchart LR"]
    names = {key: f"n{number}" for number, key in enumerate(_keys(found))}
    stages = {(entry.kind, entry.id): entry.stage for entry in found.entries}
    for key, name in names.items():
        stage = stages.get(key, "not in the store")
        lines.append(f'  {name}["{key[0]} {key[1]}<br/>{escape(stage)}"]')
    lines += [f"  {names[a]} -- {role} --> {names[b]}" for a, role, b in _edges(found)]
    lines.append(f"  style {names[_key(found.target)]} stroke-width:3px")
    lines += [
        f"  style {names[(ref.kind, ref.id)]} stroke-dasharray:4 3" for _, _, ref in found.missing
    ]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def svg(found: Lineage) -> str:
    """The lineage as an SVG document, inputs to the left of what was made from them."""
    columns = _columns(found)
    places = {
        key: (
            MARGIN + x * (BOX_WIDTH + GAP_X),
            MARGIN + y * (BOX_HEIGHT + GAP_Y),
        )
        for x, column in enumerate(columns)
        for y, key in enumerate(column)
    }
    width = 2 * MARGIN + len(columns) * (BOX_WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + max(map(len, columns)) * (BOX_HEIGHT + GAP_Y) - GAP_Y
    target = f"{found.target.kind} {found.target.id}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>Lineage of {target}</title>",
            f"<style>{STYLE}</style>",
            *(_edge_svg(places[a], role, places[b]) for a, role, b in _edges(found)),
            *_boxes_svg(found, places),
            "</svg>",
            "",
        ]
    )


def _key(entry: Entry) -> Key:
    return (entry.kind, entry.id)


def _keys(found: Lineage) -> list[Key]:
    """Every box: the artifacts, then inputs that are not in the store."""
    gone = [(ref.kind, ref.id) for _, _, ref in found.missing]
    return list(dict.fromkeys([*(_key(entry) for entry in found.entries), *gone]))


def _edges(found: Lineage) -> list[tuple[Key, str, Key]]:
    gone = [((ref.kind, ref.id), role, key) for key, role, ref in found.missing]
    return sorted({*found.edges, *gone})


def _columns(found: Lineage) -> list[list[Key]]:
    """Boxes by their longest way from a root, each column in the order of its inputs."""
    depth = dict.fromkeys(_keys(found), 0)
    edges = _edges(found)
    moved = True
    while moved:  # ends, since an artifact's id is over its inputs: there are no cycles
        moved = False
        for before, _, after in edges:
            if depth[after] <= depth[before] < len(depth):
                depth[after] = depth[before] + 1
                moved = True
    columns: list[list[Key]] = [[] for _ in range(max(depth.values()) + 1)]
    for key in depth:
        columns[depth[key]].append(key)
    rows: dict[Key, float] = {}
    for column in columns:
        parents = {key: [rows[a] for a, _, b in edges if b == key and a in rows] for key in column}
        column.sort(key=lambda key: (sum(parents[key]) / max(len(parents[key]), 1), key))
        rows |= {key: float(row) for row, key in enumerate(column)}
    return columns


def _edge_svg(start: tuple[int, int], role: str, end: tuple[int, int]) -> str:
    x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT // 2
    x2, y2 = end[0], end[1] + BOX_HEIGHT // 2
    bend = GAP_X // 2
    path = f"M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"
    return f'<path class="edge" d="{path}"><title>{escape(role)}</title></path>'


def _boxes_svg(found: Lineage, places: dict[Key, tuple[int, int]]) -> list[str]:
    entries = {_key(entry): entry for entry in found.entries}
    boxes = []
    for key, (x, y) in places.items():
        entry = entries.get(key)
        kind = "gone" if entry is None else "target" if entry == found.target else "box"
        stage = "not in the store" if entry is None else f"{entry.stage}, {entry.created}"
        boxes.append(
            f'<g><title>{escape(stage)}</title><rect class="{kind}" x="{x}" y="{y}" '
            f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
            f'<text x="{x + 10}" y="{y + 18}">{escape(key[0])}</text>'
            f'<text class="id" x="{x + 10}" y="{y + 35}">{escape(key[1])}</text></g>'
        )
    return boxes
