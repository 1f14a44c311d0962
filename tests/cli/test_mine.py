import pytest

from strop.cli.mine import with_settings
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError


def test_settings_replace_values_of_the_mining_section():
    changed = with_settings(
        Config(), ["guard.margin=-2", "mining.sampler=top", "quotas={reranker_hard: 1, random: 0}"]
    )
    assert changed.mining.guard.margin == -2
    assert changed.mining.sampler == "top"
    assert changed.mining.quotas.reranker_hard == 1
    assert changed.training == Config().training


def test_settings_that_only_fit_together_are_taken_in_any_order():
    settings = ["quantile_low=0.97", "quantile_high=0.99"]
    for given in (settings, settings[::-1]):
        assert with_settings(Config(), given).mining.quantile_low == 0.97


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("margin", "expected KEY=VALUE"),
        ("guard.bar=1", "unknown key 'mining.guard.bar'"),
        ("bar.baz=1", "there is no key mining.bar.baz"),
        ("sampler=best", "mining.sampler = 'best'"),
        ("pool_size=3", "mining.pool_size needs other scores"),
        ("guard.judges=[teacher]", "mining.guard.judges needs other scores"),
        ("guard={judges: [earlier_round]}", "mining.guard.judges needs other scores"),
        ("group_size=1", "mining.group_size = 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(InputError, match="--set") as caught:
        with_settings(Config(), [setting])
    assert message in str(caught.value)


def test_a_margin_has_an_option_of_its_own():
    assert with_settings(Config(), ["sampler=top"], margin=-2).mining.guard.margin == -2
    with pytest.raises(InputError) as caught:
        with_settings(Config(), ["group_size=1"], margin=500)
    lines = sorted(str(caught.value).splitlines())
    assert lines[0].startswith("--margin 500: mining.guard.margin = 500: input should be less")
    assert lines[1].startswith("--set: mining.group_size = 1: input should be greater")
    together = ["guard.rule=relative", "guard.first_stage_margin=0.1"]
    assert with_settings(Config(), together, margin=0.5).mining.guard.margin == 0.5
