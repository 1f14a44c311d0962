import pyarrow as pa
import pytest

from strop.artifacts.manifest import Recipe
from strop.artifacts.schemas import DIAGNOSIS_SUMMARY, RELIABILITY
from strop.artifacts.store import Store
from strop.tasks.calibration_facts import calibration_facts


def diagnosis(store, number, *, reliability):
    rows = [{"split": "dev", "name": "ece", "value": number / 10}]
    with store.attempt(Recipe("diagnosis", "test", 1, {"n": number}, {})) as attempt:
        attempt.write_table("summary", pa.Table.from_pylist(rows, schema=DIAGNOSIS_SUMMARY))
        if reliability:
            attempt.write_table("reliability", RELIABILITY.empty_table())
        return store.commit(attempt, summary={}).ref


def test_rounds_that_were_diagnosed_before_there_was_calibration_are_left_out(tmp_path):
    store = Store(tmp_path / "store")
    rounds = {n: {"diagnosis": diagnosis(store, n, reliability=n > 1)} for n in (1, 2)}
    found = calibration_facts(store, rounds, {})
    assert found.numbers == {2: {"ece": pytest.approx(0.2)}}
    assert list(found.reliability) == [2]
    assert found.measures == {}
