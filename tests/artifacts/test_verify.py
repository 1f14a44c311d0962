"""Verify finds what no longer is what its manifest says."""

from strop.artifacts.manifest import Manifest
from strop.artifacts.store import Store
from strop.artifacts.verify import verify


def problems(store: Store) -> dict[str, list[str]]:
    """The problems of every artifact that has some, by kind."""
    found = verify(store, store.artifacts())
    return {item.kind: [defect.problem for defect in defects] for item, defects in found if defects}


def test_a_whole_store_has_no_defects(store: Store, make) -> None:
    make("scores", pool=make("candidates"))
    assert problems(store) == {}
    assert len(list(verify(store, store.artifacts()))) == 2


def test_a_flipped_byte_is_found_though_the_size_is_the_same(store: Store, make) -> None:
    path = store.place_of(make("scores", "text"), "text.txt")
    path.write_text("tezt")
    assert problems(store) == {"scores": ["file text.txt has other content than when it was made"]}


def test_a_longer_and_a_missing_file_are_found(store: Store, make) -> None:
    store.place_of(make("scores", "text"), "text.txt").write_text("texts")
    store.place_of(make("candidates", "text"), "text.txt").unlink()
    assert problems(store) == {
        "candidates": ["file text.txt is missing"],
        "scores": ["file text.txt has 5 bytes, expected 4"],
    }


def test_an_input_that_is_gone_is_found(store: Store, make) -> None:
    pool = make("candidates")
    make("scores", pool=pool)
    manifest_of(store, pool).unlink()
    assert problems(store) == {"scores": [f"input pool (candidates {pool.id}) is not in the store"]}


def test_an_input_that_was_made_again_with_other_bits_is_found(store: Store, make) -> None:
    pool = make("candidates", "one")
    make("scores", pool=pool)
    manifest_of(store, pool).unlink()
    assert make("candidates", "two").id == pool.id
    assert problems(store) == {
        "scores": [f"input pool (candidates {pool.id}) was made again with other content"]
    }


def test_a_file_name_that_leaves_the_folder_is_a_defect_and_not_followed(
    store: Store, make
) -> None:
    made = make("scores", "text")
    path = manifest_of(store, made)
    path.write_text(path.read_text().replace('"text.txt"', '"../../../../store.json"'))
    (problem,) = problems(store)["scores"]
    assert problem.endswith("file name '../../../../store.json' leaves the artifact's folder")


def manifest_of(store: Store, item: Manifest):
    return store.place(item).parent / "manifest.json"
