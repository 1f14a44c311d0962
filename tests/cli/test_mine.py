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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("margin", "expected KEY=VALUE"),
        ("guard.bar=1", "unknown key 'mining.guard.bar'"),
        ("bar.baz=1", "there is no key mining.bar.baz"),
        ("sampler=best", "mining.sampler = 'best'"),
        ("pool_size=3", "mining.pool_size needs other scores"),
        ("guard.judges=[teacher]", "mining.guard.judges needs other scores"),
        ("group_size=1", "mining.group_size = 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(InputError, match="--set") as caught:
        with_settings(Config(), [setting])
    assert message in str(caught.value)
