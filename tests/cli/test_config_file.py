from pathlib import Path

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
    assert "one of top, uniform, log_rank, simans, quantile, mixed" in text
    assert yaml.safe_load(text)["training"]["learning_rate"] == Config().training.learning_rate


def test_an_unknown_key_is_named_with_its_line_and_the_keys_there_are(tmp_path):
    message = refusal(tmp_path, "name: a\nmining:\n  group_size: 8\n  sampelr: top\n")
    assert message.startswith("/strop.yaml line 4: unknown key 'mining.sampelr'; mining has ")
    assert "sampler" in message


def test_every_wrong_key_gets_a_line_of_its_own(tmp_path):
    lines = refusal(tmp_path, "rounds: many\nseed: -1\n").splitlines()
    assert [line.split(":")[0] for line in lines] == ["/strop.yaml line 1", "/strop.yaml line 2"]
    assert "rounds = 'many'" in lines[0]


def test_an_empty_section_has_the_defaults(tmp_path):
    text = "name: a\nmining:\nevaluation:\n  metrics:\n"
    sections = "name: my-corpus\ndata:\nmining:\n  guard:\n  quotas:\nexecution:\n"
    assert load_config(write(tmp_path, sections)) == Config()
    assert load_config(write(tmp_path, "training:\n  lora:\n")).training.lora is None
    assert "mining" not in refusal(tmp_path, text)


def test_an_impossible_combination_points_at_its_key(tmp_path):
    message = refusal(tmp_path, "name: a\nevaluation:\n  depth: 200\n")
    assert message.startswith("/strop.yaml line 3: evaluation.depth = 200 reaches past")


def test_a_repeated_key_and_broken_yaml_are_refused(tmp_path):
    assert "line 2: key 'seed' was given before" in refusal(tmp_path, "seed: 1\nseed: 2\n")
    assert "not YAML" in refusal(tmp_path, "seed: [1\n")
    assert "expected keys and values" in refusal(tmp_path, "- 1\n")


def test_the_example_tells_the_keys_of_sections_that_are_empty_or_in_lists():
    text = example_config()
    assert "#   binary_cross_entropy: weight 1.0, positive_weight 1.0" in text
    assert "#   its keys: rank 16, alpha 32.0, dropout 0.0, target_modules []" in text
    assert "#   its keys: source, min_rank 1, size 20, quota null" in text


def test_wrong_keys_inside_lists_are_named_by_their_place_and_line(tmp_path):
    text = "training:\n  losses:\n    - name: circle\n      marjin: 1\n    - name: foo\n"
    lines = refusal(tmp_path, text).splitlines()
    assert lines[0] == (
        "/strop.yaml line 4: unknown key 'training.losses[0].marjin'; "
        "training.losses[0] has name, weight, margin, scale"
    )
    assert lines[1].startswith("/strop.yaml line 5: training.losses[1].name = 'foo': expected one")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mining:\n  quotas: {reranker_hard: 0.9}\n", "2: mining.quotas sum to 1.4, expected 1"),
        (
            "mining:\n  guard:\n    rule: relative\n    margin: -1\n",
            "4: mining.guard.margin = -1: rule relative takes a share",
        ),
        ("mining:\n  group_size: 1\n", "2: mining.group_size = 1: input should be greater"),
        (
            "mining:\n  group_size_min: 20\n",
            "1: mining.group_size = 16 is not between mining.group_size_min = 20",
        ),
        (
            "mining:\n  quantile_low: 0.9\n  quantile_high: 0.5\n",
            "2: mining.quantile_low = 0.9 is not below",
        ),
        (
            "training:\n  losses: [{name: kl}]\n",
            "2: training.losses has kl, which needs the scores of a teacher",
        ),
        (
            "training:\n  losses: [{name: kl}]\nmining:\n  teacher: t\n"
            "  quotas: {reranker_hard: 0, in_batch: 0.5}\n",
            "2: training.losses has kl, which needs the scores of a teacher; "
            "mining.quotas.in_batch = 0.5 takes passages that no teacher scored",
        ),
        (
            "mining:\n  guard:\n    rule: percentage\n    margin: 0.95\n",
            "2: mining.guard.first_stage_margin = 0: rule percentage would refuse every",
        ),
        (
            "mining:\n  guard:\n    judges: [teacher]\n",
            "3: mining.guard.judges names the teacher, but mining.teacher is null",
        ),
        (
            "training:\n  frozen_layers: 2\n  lora: {}\n",
            "2: training.frozen_layers = 2 and training.lora exclude each other",
        ),
        (
            "decision:\n  guard_sets:\n    - {name: a, dataset: x}\n    - {name: a, dataset: y}\n",
            "2: decision.guard_sets has two sets named 'a', expected one",
        ),
        (
            "decision:\n  guard_sets:\n    - {name: a, dataset: x, split: tset}\n",
            "3: decision.guard_sets[0].split = 'tset': input should be 'train', 'dev', 'gate' or",
        ),
        ("mining: 3\n", "1: mining = 3: expected keys and their values"),
        ("rounds:\n", "1: rounds: has no value; expected a whole number, or leave the key out"),
        ("seed: abc\n", "1: seed = 'abc': expected a whole number"),
        ("training:\n  losses: circle\n", "2: training.losses = 'circle': expected a list"),
        ("training:\n  losses: []\n", "2: training.losses = []: expected at least 1 entry"),
        ("mining:\n  cross_fit: 7\n", "2: mining.cross_fit = 7: expected true or false"),
        (
            "name: My Corpus\n",
            "1: name = 'My Corpus': expected at most 64 of lower-case letters, digits, '.', '_' "
            "and '-', the first a letter or a digit, such as my-corpus",
        ),
        (
            "execution: {rendezvous: here}\n",
            "1: execution.rendezvous = 'here': expected HOST:PORT, such as 10.0.0.1:29500",
        ),
        (
            "training:\n  patience: 3\n",
            "2: training.patience needs training.evaluate_every",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_key_and_line(tmp_path, text, line):
    assert refusal(tmp_path, text).startswith(f"/strop.yaml line {line}")


def test_the_example_for_a_large_reranker_is_a_valid_config():
    path = Path(__file__).parents[2] / "examples" / "bge-reranker-v2-m3.yaml"
    config = load_config(path)
    assert config.reranker.base == "BAAI/bge-reranker-v2-m3"
    assert config.mining.group_size == 8
