import io

from rich.console import Console

from strop.cli.results import results_grid, verdict_sentence


def row(number, ranking, value, difference=None, p_value=None):
    return {
        "round": number, "split": "test", "ranking": ranking, "metric": "nDCG@10", "n": 620,
        "value": value, "ci_low": value - 0.01, "ci_high": value + 0.01, "difference": difference,
        "difference_ci_low": None if difference is None else difference - 0.01,
        "difference_ci_high": None if difference is None else difference + 0.01,
        "p_value": p_value,
        "adjusted_p_value": p_value,
    }  # fmt: skip


def results(p_value=0.001, difference=0.03, **champion):
    return {
        "run": "r",
        "rounds": [row(0, "first_stage", 0.5), row(1, "fused", 0.53, difference, p_value)],
        "champion": {"run": "r", "round": 1, "ranking": "fused", "name": "round 1"} | champion,
    }


def test_a_significant_gain_is_said_and_a_doubtful_one_is_said_not_to_be():
    sure = "beats the first stage significantly: +0.030 [+0.020, +0.040] nDCG@10"
    assert sure in verdict_sentence(results())
    assert "does NOT beat" in verdict_sentence(results(p_value=0.2))
    assert "does NOT beat" in verdict_sentence(results(difference=-0.03))


def test_other_champions_are_named():
    assert "first stage alone stays" in verdict_sentence(results(ranking="first_stage", round=0))
    assert "of another run" in verdict_sentence(results(run="other"))
    assert "no champion yet" in verdict_sentence(results(run=None, name=None, ranking=None))


def test_the_champion_is_marked_in_its_row_alone():
    grid = results_grid(results())
    cells = list(zip(*(list(column.cells) for column in grid.columns), strict=True))
    assert [line[0] for line in cells] == ["first stage", "round 1, fused"]
    assert [line[-1] for line in cells] == ["", "champion"]


def test_the_metric_that_decides_comes_first_whatever_it_is():
    given = results()
    names = ("R@20", "nDCG@10", "MAP", "P@1")
    given["rounds"] = [{**row, "metric": name} for row in given["rounds"] for name in names]
    titles = [str(column.header) for column in results_grid(given).columns]
    assert titles[1:5] == ["R@20", "nDCG@10", "MAP", "Δ R@20 to first stage"]


def test_rerankers_from_outside_stand_below_the_rounds_with_what_they_are():
    def other(name, role, ranking, value):
        found = row(0, ranking, value, value - 0.5, 0.001)
        return {"name": name, "role": role, **{k: v for k, v in found.items() if k != "round"}}

    outside = [
        other("minilm", "off the shelf", "reranker", 0.51),
        other("minilm", "off the shelf", "fused", 0.54),
        other("round 2 of other", "champion", "fused", 0.55),
    ]
    given = results(run="other", name="round 2 of other") | {"outside": outside}
    cells = list(zip(*(list(column.cells) for column in results_grid(given).columns), strict=True))
    assert [(line[0], line[-1]) for line in cells[2:]] == [
        ("minilm, alone", ""),
        ("minilm, fused", "off the shelf"),
        ("round 2 of other, fused", "champion"),
    ]
    assert cells[1][-1] == ""
    assert verdict_sentence(given) == (
        "The champion is round 2 of other, of another run: nDCG@10 0.550, +0.050 to the first"
        " stage."
    )


def test_a_narrow_terminal_loses_columns_and_no_figure():
    out = io.StringIO()
    Console(file=out, width=80).print(results_grid(results(), 80))
    assert "nDCG@10" in out.getvalue()
    assert "p, Holm" in out.getvalue()
    assert "…" not in out.getvalue()
