from xml.etree import ElementTree

import pytest

from strop.pipeline.reporting.beside import beside_picture


def row(name, ranking, value, difference=None):
    changed = difference is not None
    return {
        "name": name, "ranking": ranking, "split": "test", "metric": "nDCG@10", "n": 620,
        "value": value, "value_low": value - 0.03, "value_high": value + 0.03,
        "difference": difference,
        "ci_low": difference - 0.01 if changed else None,
        "ci_high": difference + 0.01 if changed else None,
        "p_value": 0.0004 if changed else None,
        "adjusted_p_value": 0.0125 if changed else None,
    }  # fmt: skip


ROWS = [
    row("a:1", "reranker", 0.5), row("<b>", "reranker", 0.55, 0.05),
    row("a:1", "fused", 0.6), row("<b>", "fused", 0.58, -0.02),
    row(f"{'long/' * 30}mine.run", "run", 0.612, 0.012),
]  # fmt: skip


def test_a_page_has_the_figure_and_the_numbers_and_loads_nothing():
    page = beside_picture(ROWS, ".html").decode()
    assert page.count("<svg") == 1
    for text in ("a:1", "&lt;b&gt;", "0.612", "+0.050 [+0.040, +0.060]", "Runs as they are"):
        assert text in page
    assert "<b>" not in page
    assert "−0.020" in page, "the figure tells its numbers"
    assert "…" in page, "a long name leaves room for the figure"
    assert "src=" not in page


def test_every_ranking_has_a_marker_and_all_but_the_first_a_change():
    svg = beside_picture(ROWS, ".svg").decode()
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert svg.count("<text") == 0, "letters are outlines, so that no font is missing"
    page = beside_picture(ROWS, ".html").decode()
    assert [page.count(f">{text}<") for text in ("0.500", "+0.050", "0.580")] == [2, 1, 2]


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_equal_rows_draw_equal_bytes(suffix):
    assert beside_picture(ROWS, suffix) == beside_picture(ROWS, suffix)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_a_name_with_dollars_is_no_formula(suffix):
    rows = [row("a:1", "reranker", 0.5), row(r"runs/$\x$.trec", "reranker", 0.55, 0.05)]
    data = beside_picture(rows, suffix)
    assert suffix != ".html" or rb">runs/$\x$.trec<" in data


def test_a_png_is_large_enough_to_read():
    data = beside_picture(ROWS, ".png")
    assert data.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(data[16:20], "big") >= 1200
