import pytest

from strop.cli.options import where


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("store", ""),
        ("{0}/store", ""),
        (".strop", " --store .strop"),
        ("s3://bucket/a", " --store s3://bucket/a"),
    ],
)
def test_a_command_that_is_told_names_no_store_that_the_environment_names(
    tmp_path, monkeypatch, location, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_STORE", str(tmp_path / "store"))
    assert where(location.format(tmp_path)) == told
    monkeypatch.setenv("STROP_STORE", location)
    assert where(location) == ""
