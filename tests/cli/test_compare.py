from strop.cli.compare import grid


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
