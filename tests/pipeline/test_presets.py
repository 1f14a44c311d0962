import pytest

from strop.cli.rounds import PresetName
from strop.pipeline.config import CHANGES, Config, Mining, Training, with_preset


def test_the_command_line_offers_the_presets_there_are():
    assert tuple(PresetName) == tuple(CHANGES)


@pytest.mark.parametrize(
    ("preset", "miner", "cross_fit", "start"),
    [
        ("static", "first_stage", False, "last_round"),
        ("no-remine", "first_round", False, "last_round"),
        ("fresh-start", "last_round", False, "base"),
        ("self", "last_round", False, "last_round"),
        ("cross-fit", "last_round", True, "last_round"),
    ],
)
def test_a_preset_says_who_mines_and_where_training_starts(preset, miner, cross_fit, start):
    config = with_preset(Config(), preset)
    found = (config.mining.miner, config.mining.cross_fit, config.training.start)
    assert found == (miner, cross_fit, start)


def test_a_preset_keeps_everything_else():
    config = Config(mining=Mining(group_size=8), training=Training(learning_rate=1e-3), rounds=2)
    changed = with_preset(config, "self")
    assert (changed.mining.group_size, changed.training.learning_rate) == (8, 1e-3)
    assert changed.rounds == 2


def test_without_mining_again_a_curriculum_would_change_the_negatives():
    assert with_preset(Config(), "no-remine").mining.curriculum.rounds == "none"
    assert with_preset(Config(), "self").mining.curriculum.rounds == "linear"
