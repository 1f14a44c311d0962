"""A stage whose code changed gets a new recipe, or somebody says that its results are the same."""

import copy
from pathlib import Path

import pytest

from tests import recipes
from tests.recipes import changed, code_digest, settled, stages


def test_every_change_of_a_stage_s_code_is_settled() -> None:
    left = changed(settled(), stages())
    assert left == {}, (
        "the code of these stages changed: raise the version in their `Recipe(…)` where results "
        "may differ, then run `python -m tests.recipes`; where they are the same, name them: "
        "`python -m tests.recipes --same-results FILE …`"
    )


def test_what_was_settled_is_all_there_is() -> None:
    assert {name: stage["recipes"] for name, stage in settled().items()} == {
        name: stage["recipes"] for name, stage in stages().items()
    }, "run `python -m tests.recipes`"


def test_code_behind_a_stage_counts_and_a_raised_recipe_settles_it() -> None:
    before = stages()
    assert "pipeline/scoring/scorer.py" in before["tasks/score.py"]["sources"]
    assert "tasks/stage.py" not in before["tasks/score.py"]["sources"]
    now = copy.deepcopy(before)
    now["tasks/score.py"]["sources"]["pipeline/scoring/scorer.py"] = "other"
    assert changed(before, now) == {"tasks/score.py": ["pipeline/scoring/scorer.py"]}
    now["tasks/score.py"]["recipes"] = ["'scores', 'score', 99"]
    assert changed(before, now) == {}


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("def f(x):\n    'Add.'\n    return x + 1\n", True),
        ("# why\ndef f(x):\n\n    return x + 1  # more\n", True),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(x):\n    return x + 1\n\n\ny = '# no comment'\n", False),
    ],
)
def test_comments_and_docstrings_are_no_code(tmp_path: Path, source: str, same: bool) -> None:
    (tmp_path / "a.py").write_text("def f(x):\n    return x + 1\n")
    (tmp_path / "b.py").write_text(source)
    assert (code_digest(tmp_path / "a.py") == code_digest(tmp_path / "b.py")) is same


def test_settling_keeps_what_nobody_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "SETTLED", tmp_path / "recipes.json")
    monkeypatch.setattr("sys.argv", ["recipes"])
    with pytest.raises(SystemExit) as first:
        recipes.main()
    assert first.value.code == 0
    now = stages()
    now["tasks/score.py"]["sources"]["tasks/score.py"] = "other"
    monkeypatch.setattr(recipes, "stages", lambda: now)
    with pytest.raises(SystemExit) as second:
        recipes.main()
    assert second.value.code == 1
    assert changed(settled(), now) == {"tasks/score.py": ["tasks/score.py"]}
    monkeypatch.setattr("sys.argv", ["recipes", "--same-results", "tasks/score.py"])
    with pytest.raises(SystemExit) as third:
        recipes.main()
    assert third.value.code == 0
    assert changed(settled(), now) == {}
