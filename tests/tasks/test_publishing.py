import pytest

from strop.tasks.publishing import artifact_key, shown
from strop.tasks.shown_pages import is_of


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("demo", "negatives", "list negatives"), "demo-negatives-list-negatives"),
        (("My_Corpus.v2", "reranker"), "my-corpus-v2-reranker"),
        (("größe", "  x--y "), "gr-e-x-y"),
    ],
)
def test_keys_are_lower_case_letters_digits_and_single_dashes(words, key):
    assert artifact_key(*words) == key


def test_values_are_shown_as_people_read_them():
    assert shown(12345) == "12,345"
    assert shown(0.61234) == "0.6123"
    assert shown({"dev": 0.5, "test": None}) == "dev 0.5, test –"
    assert shown(True) == "yes"


def test_a_table_of_a_run_with_a_longer_name_is_not_this_runs():
    assert is_of("tiny-reranker-train", "tiny", "reranker 12ab")
    assert is_of("tiny-guard-set-import", "tiny", "guard_set 12ab")
    assert not is_of("tiny-top-reranker-train", "tiny", "reranker 12ab")
    assert not is_of("tiny-reranker-train", "tin", "reranker 12ab")
