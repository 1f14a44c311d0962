"""A run that an older strop started, resumed by this one."""

import pytest

from strop.artifacts.errors import StoreError
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.recorded import config_of_run, with_defaults
from strop.pipeline.config import Config


@pytest.fixture
def older(tmp_path):
    """A run whose record lacks a key that strop has got since."""
    values = {**Config(name="old").identity(), "dataset": "dataset 0123456789abcdef"}
    del values["decision"]["approval"]
    run = Run(Store(tmp_path / "store"), "old")
    run.claim(values)
    return run


def test_a_new_key_at_its_default_resumes_the_run(older):
    today = {**Config(name="old").identity(), "dataset": "dataset 0123456789abcdef"}
    older.claim(today, read=with_defaults)
    today["decision"]["approval"] = True
    with pytest.raises(StoreError, match=r"decision\.approval = false, the config now says true"):
        older.claim(today, read=with_defaults)


def test_the_config_of_a_run_names_the_dataset_by_its_artifact(older):
    assert config_of_run(older.store, "old").dataset == "0123456789abcdef"
