import io

import pytest
from rich.console import Console

from strop.artifacts.store import Store
from strop.cli.compare import _draw, compare, grid
from strop.pipeline.errors import InputError


def row(name, value, difference=None):
    changed = difference is not None
    return {
        "name": name, "ranking": "fused", "split": "test", "metric": "nDCG@10", "n": 20,
        "value": value, "difference": difference,
        "ci_low": difference - 0.1 if changed else None,
        "ci_high": difference + 0.1 if changed else None,
        "p_value": 0.0004 if changed else None,
        "adjusted_p_value": 0.0012 if changed else None,
    }  # fmt: skip


def test_the_first_round_has_no_change_and_the_others_have_theirs():
    table = grid([row("a:1", 0.5), row("b:2", 0.55, 0.05)])
    columns = {column.header: list(column.cells) for column in table.columns}
    assert table.title == "nDCG@10: 20 test queries"
    assert columns[""] == ["a:1, fused", "b:2, fused"]
    assert columns["Δ to a:1"] == ["", "+0.050 [-0.050, +0.150]"]
    assert (columns["p"][1], columns["p, Holm"][1]) == ("< 0.001", "0.001")


@pytest.mark.parametrize(("width", "chances"), [(80, " < 0.001 0.001"), (50, " 0.001")])
def test_a_narrow_terminal_folds_names_and_no_number(width, chances):
    out = io.StringIO()
    rows = [row("a:1", 0.5), row("runs/of-our-old-search-engine-in-production.trec", 0.55, 0.05)]
    Console(file=out, width=width).print(grid(rows, width))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert any(line.endswith("0.500") for line in lines)
    assert any(line.endswith(f"0.550 +0.050 [-0.050, +0.150]{chances}") for line in lines)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.pdf", r"a\.pdf: ends in '\.pdf', expected one of \.svg, \.png, \.html"),
        ("plot", r"plot: ends in '', expected one of"),
        ("absent/a.svg", r"there is no folder .*absent, expected a file"),
        ("folder.svg", r"folder\.svg: is a folder"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_before_anything_is_read(tmp_path, name, message):
    Store(tmp_path / "store")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError, match=f"--plot .*{message}"):
        compare(["no run"], store=tmp_path / "store", plot=tmp_path / name)


def test_a_figure_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "old.svg"
    path.write_text("old")
    with pytest.raises(KeyError):
        _draw([{"ranking": "fused"}], path)
    assert [item.name for item in tmp_path.iterdir()] == ["old.svg"]
    assert path.read_text() == "old"
