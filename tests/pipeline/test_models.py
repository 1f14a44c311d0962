import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from strop.pipeline.errors import InputError
from strop.pipeline.models import check_folder, resolve_model


@pytest.fixture
def model(reranker_folder: Path, tmp_path: Path) -> Path:
    """A copy of a model that a test may change."""
    return Path(shutil.copytree(reranker_folder, tmp_path / "model"))


def test_a_folder_is_found_with_the_digests_of_what_decides_its_output(model: Path) -> None:
    (model / "README.md").write_text("notes")
    (model / "onnx").mkdir()
    (model / "onnx" / "config.json").write_text("{}")
    found = resolve_model(str(model))
    assert found.path == model
    assert sorted(found.sha256_by_file) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_bundled_model_is_there() -> None:
    assert "model.safetensors" in resolve_model("bundled").sha256_by_file


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("config.json", "has no config.json; expected a Hugging Face model folder"),
        ("model.safetensors", "has no .safetensors weights"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(model: Path, missing: str, expected: str) -> None:
    (model / missing).unlink()
    with pytest.raises(InputError, match=expected) as caught:
        resolve_model(str(model))
    assert str(model) in str(caught.value)


def test_a_file_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file, expected a model folder"):
        resolve_model(str(tmp_path / "file"))
    with pytest.raises(InputError, match="no such folder"):
        resolve_model(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match=r"^reranker.base = './nothing': no such folder$"):
        resolve_model("./nothing", "reranker.base")


def test_a_folder_is_checked_without_a_word_to_the_hub(model: Path, tmp_path: Path) -> None:
    check_folder(str(model), "reranker.base")
    check_folder("nobody/has-this-model", "reranker.base")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    for place, words in ((str(model), "has no .safetensors weights"), ("./no", "no such folder")):
        with pytest.raises(InputError, match=f"^reranker.base = '{place}': .*{words}"):
            check_folder(place, "reranker.base")


def test_one_changed_weight_changes_the_fingerprint_and_notes_do_not(model: Path) -> None:
    before = resolve_model(str(model)).sha256_by_file
    (model / "README.md").write_text("other notes")
    assert resolve_model(str(model)).sha256_by_file == before
    weights = load_file(model / "model.safetensors")
    weights["classifier.bias"][0] += 1e-3
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    after = resolve_model(str(model)).sha256_by_file
    assert {name for name in before if before[name] != after[name]} == {"model.safetensors"}


@pytest.mark.parametrize("file", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_pickled_weights_of_a_module_are_refused_by_name(model: Path, file: str) -> None:
    """As in older sentence-transformers: they would be unpickled, and are in no fingerprint."""
    dense = model / "2_Dense"
    dense.mkdir()
    (model / "modules.json").write_text('[{"path": ""}, {"path": "2_Dense"}]')
    (dense / file).write_bytes(b"pickled")
    with pytest.raises(InputError, match=f"2_Dense/{file} has pickled weights") as caught:
        resolve_model(str(model))
    assert "\n" not in str(caught.value)
    (dense / "model.safetensors").write_bytes(b"safe")
    assert "2_Dense/model.safetensors" in resolve_model(str(model)).sha256_by_file


def test_pickled_weights_that_nothing_reads_are_no_matter(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"pickled")
    for folder in ("onnx", "checkpoint-500"):
        (model / folder).mkdir()
        (model / folder / "pytorch_model.bin").write_bytes(b"pickled")
    assert not any(name.endswith(".bin") for name in resolve_model(str(model)).sha256_by_file)


def test_the_place_of_a_model_is_no_part_of_its_fingerprint(model: Path, tmp_path: Path) -> None:
    before = resolve_model(str(model)).sha256_by_file
    moved = model.rename(tmp_path / "elsewhere")
    assert resolve_model(str(moved)).sha256_by_file == before


def test_a_name_is_found_in_the_hubs_cache_without_a_network(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    repository = cache / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    snapshot = model.rename(repository / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert resolve_model("org/tiny").path == snapshot
    with pytest.raises(InputError, match="org/absent"):
        resolve_model("org/absent")
