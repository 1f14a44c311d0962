from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.data.splits import SplitRule, cut_missing_splits

OWN_GROUPS = {f"q{i}": f"q{i}" for i in range(20)}


def test_dev_is_cut_from_train_and_gate_from_dev() -> None:
    train = dict.fromkeys(OWN_GROUPS, "train")
    splits = list(cut_missing_splits(train, OWN_GROUPS, SplitRule(0.5, 0.4, seed=1)).values())
    assert [splits.count(split) for split in ("train", "dev", "gate")] == [10, 6, 4]


def test_given_splits_stay_as_they_are() -> None:
    given_splits = {"a": "train", "b": "dev", "c": "gate", "d": "test"}
    groups = {query: query for query in given_splits}
    assert cut_missing_splits(given_splits, groups, SplitRule(0.5, 0.5)) == given_splits


def test_no_gate_is_cut_at_share_0() -> None:
    dev = dict.fromkeys(OWN_GROUPS, "dev")
    assert cut_missing_splits(dev, OWN_GROUPS, SplitRule(0.1, 0.0)) == dev


def test_the_seed_decides_which_queries_and_equal_seeds_agree() -> None:
    dev = dict.fromkeys(OWN_GROUPS, "dev")
    cuts = [
        cut_missing_splits(dict(reversed(dev.items())), OWN_GROUPS, SplitRule(seed=seed))
        for seed in (1, 2)
    ]
    assert cuts[0] == cut_missing_splits(dev, OWN_GROUPS, SplitRule(seed=1))
    assert cuts[0] != cuts[1]


def test_one_large_group_is_not_cut_whole_out_of_its_split() -> None:
    dev = dict.fromkeys(OWN_GROUPS, "dev")
    assert cut_missing_splits(dev, dict.fromkeys(dev, "one"), SplitRule()) == dev


@settings(max_examples=50, deadline=None)
@given(
    groups=st.lists(st.integers(0, 8), min_size=2, max_size=40),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_a_group_is_never_in_two_splits(groups: list[int], share: float, seed: int) -> None:
    group_by_query = {f"q{i}": str(group) for i, group in enumerate(groups)}
    train = dict.fromkeys(group_by_query, "train")
    splits = cut_missing_splits(train, group_by_query, SplitRule(share, share, seed))
    assert splits.keys() == train.keys()
    assert "train" in splits.values()
    by_group: dict[str, set[str]] = {}
    for query, split in splits.items():
        by_group.setdefault(group_by_query[query], set()).add(split)
    assert all(len(found) == 1 for found in by_group.values())
