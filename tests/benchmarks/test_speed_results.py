from pathlib import Path

import pytest

from benchmarks.speed import results
from benchmarks.speed.results import fallen, markdown, ratios
from benchmarks.speed.work import forward_gflop


def page(*cells: str) -> str:
    rows = [[f"peer {number}", cell, "9.99"] for number, cell in enumerate(cells)]
    return markdown("Scoring", ["a fact"], ["side", "CPU ratio", "wall ratio"], rows)


def test_ratios_are_read_from_a_written_page() -> None:
    assert ratios(page("–", "1.85 (1.80–1.92)", "0.50 (0.40–0.60)")) == {
        "peer 1": 1.85,
        "peer 2": 0.5,
    }


def test_a_ratio_that_fell_by_more_than_15_percent_is_named() -> None:
    before = page("2.00 (1.90–2.10)", "2.00 (1.90–2.10)", "1.00 (1.00–1.00)")
    now = page("1.71 (1.60–1.80)", "1.69 (1.60–1.80)", "3.00 (3.00–3.00)")
    assert fallen(before, now) == ["peer 1: 1.69, was 2.00"]


def test_the_work_of_a_layer_by_hand() -> None:
    config = {"hidden_size": 2, "intermediate_size": 3, "num_hidden_layers": 1}
    # One token: four products of 2x2 and two of 2x3, and attention over itself: 2 · (16 + 12 + 4).
    assert forward_gflop(config, [1], first_token_only=False) * 1e9 == 2 * (16 + 12 + 4)
    two = {**config, "num_hidden_layers": 2}
    assert forward_gflop(two, [1, 1], first_token_only=False) * 1e9 == 4 * 2 * (16 + 12 + 4)


def test_a_page_of_another_processor_is_kept_and_no_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def page(value: str) -> str:
        facts = results.circumstances({"torch": "2"}, 1)
        return markdown("Scoring", facts, ["side", "CPU ratio"], [["peer", value]])

    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "processor", lambda: "One (family 1)")
    results.publish("speed", page("3.00 (2.9–3.1)"), write=True)
    assert not results.publish("speed", page("2.00 (1.9–2.1)"), write=False)
    monkeypatch.setattr(results, "processor", lambda: "Other, v2 (family 2)")
    capsys.readouterr()
    assert results.publish("speed", page("2.00 (1.9–2.1)"), write=False)
    said = capsys.readouterr().out
    assert "speed.md is of another processor, One (family 1); of this one is none" in said
    assert "fell by more than 15 %: peer: 2.00, was 3.00" in said
    results.publish("speed", page("2.00 (1.9–2.1)"), write=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "speed.md",
        "speed.other_v2_family_2.md",
    ]
    assert "3.00" in (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert not results.publish("speed", page("1.00 (0.9–1.1)"), write=False)
    assert results.publish("speed", page("1.90 (1.8–2.0)"), write=False)
