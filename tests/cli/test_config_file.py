import pytest
import yaml

from strop.cli.config_file import example_config, load_config
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError


def write(tmp_path, text):
    path = tmp_path / "strop.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path, text):
    with pytest.raises(InputError) as caught:
        load_config(write(tmp_path, text))
    return str(caught.value).replace(str(tmp_path), "")


def test_the_example_says_every_default_and_loads_as_the_defaults(tmp_path):
    assert load_config(write(tmp_path, example_config())) == Config()
    text = example_config()
    assert "# Members of a training group" in text
    assert "one of top, uniform, mixed" in text
    assert yaml.safe_load(text)["training"]["learning_rate"] == Config().training.learning_rate


def test_an_unknown_key_is_named_with_its_line_and_the_keys_there_are(tmp_path):
    message = refusal(tmp_path, "name: a\nmining:\n  margin: 1\n  sampelr: top\n")
    assert message.startswith("/strop.yaml line 4: unknown key 'mining.sampelr'; mining has ")
    assert "sampler" in message


def test_every_wrong_key_gets_a_line_of_its_own(tmp_path):
    lines = refusal(tmp_path, "rounds: many\nseed: -1\n").splitlines()
    assert [line.split(":")[0] for line in lines] == ["/strop.yaml line 1", "/strop.yaml line 2"]
    assert "rounds = 'many'" in lines[0]


def test_an_impossible_combination_points_at_its_key(tmp_path):
    message = refusal(tmp_path, "name: a\nevaluation:\n  depth: 200\n")
    assert message.startswith("/strop.yaml line 3: evaluation.depth = 200 reaches past")


def test_a_repeated_key_and_broken_yaml_are_refused(tmp_path):
    assert "line 2: key 'seed' was given before" in refusal(tmp_path, "seed: 1\nseed: 2\n")
    assert "not YAML" in refusal(tmp_path, "seed: [1\n")
    assert "expected keys and values" in refusal(tmp_path, "- 1\n")
