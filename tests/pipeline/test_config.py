from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from strop.pipeline.config import Config


def test_the_defaults_are_valid_and_a_fixed_point() -> None:
    config = Config()
    assert Config.model_validate(config.model_dump(mode="json")) == config
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_an_unknown_key_is_refused_by_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"mining": {"group_sise": 8}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("mining", "group_sise")
    assert error["type"] == "extra_forbidden"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("mining", "group_size", 1),
        ("mining", "sampler", "hardest"),
        ("training", "learning_rate", 0),
        ("training", "temperature", -1),
        ("training", "dropout", 1),
        ("reranker", "max_tokens", "many"),
        ("evaluation", "bootstrap_samples", 1),
        ("evaluation", "calibration", "sigmoid"),
        ("decision", "champion", "Not A Name"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_place(section: str, key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({section: {key: value}})
    assert caught.value.errors()[0]["loc"] == (section, key)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"mining": {"min_rank": 2}},
            "mining.min_rank + mining.window_size - 1 = 101 reaches past first_stage.depth = 100",
        ),
        (
            {"mining": {"pool_size": 60, "window_size": 59}},
            "mining.pool_size = 60 is larger than mining.window_size = 59",
        ),
        (
            {"evaluation": {"depth": 101}},
            "evaluation.depth = 101 reaches past first_stage.depth = 100",
        ),
        (
            {"mining": {"pool_size": 5, "window_size": 10, "group_size": 12}},
            "mining.group_size = 12 needs more negatives than mining.window_size = 10 holds",
        ),
        (
            {"reranker": {"max_tokens": 64, "max_query_tokens": 57}},
            "reranker.max_query_tokens = 57 leaves no room for the passage in "
            "reranker.max_tokens = 64",
        ),
        (
            {"training": {"losses": [{"name": "kl"}]}, "mining": {"teacher": "given"}},
            "training.losses has kl, which needs the scores of a teacher; mining.teacher = 'given' "
            "scores what came with the data alone, expected a pool of source given",
        ),
        (
            {
                "training": {"losses": [{"name": "margin_mse"}]},
                "mining": {
                    "teacher": "model",
                    "quotas": {"reranker_hard": 0.5, "in_batch": 0.1, "random": 0.4},
                },
            },
            "mining.quotas.in_batch = 0.1 takes passages that no teacher scored, expected 0",
        ),
        ({"data": {"chunk_overlap": 5}}, "data.chunk_overlap needs data.chunk_words"),
        (
            {"data": {"chunk_words": 10, "chunk_overlap": 10}},
            "data.chunk_overlap = 10 is not below data.chunk_words = 10",
        ),
        (
            {"data": {"columns": {"text": "x"}}},
            "'text' is unknown, expected one of query, query_id",
        ),
        ({"dataset": " "}, "is empty, expected a BEIR folder or a dataset id"),
    ],
)
def test_impossible_combinations_are_refused_with_both_values(
    values: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(values)
    assert expected in str(caught.value)


def test_the_same_combinations_one_step_back_are_possible() -> None:
    Config.model_validate(
        {
            "first_stage": {"depth": 60},
            "mining": {
                "min_rank": 11,
                "pool_size": 50,
                "window_size": 50,
                "group_size": 51,
            },
            "evaluation": {"depth": 60},
            "reranker": {"max_tokens": 64, "max_query_tokens": 56},
        }
    )


def test_more_pools_hold_negatives_too() -> None:
    pools = [{"source": "bm25", "size": 4}]
    values = {"pool_size": 5, "window_size": 10, "group_size": 15, "more_pools": pools}
    Config.model_validate({"mining": values})
    with pytest.raises(ValidationError, match=r"group_size = 16 needs more negatives"):
        Config.model_validate({"mining": {**values, "group_size": 16}})


def _fields(model: BaseModel, execution: bool = False) -> dict[str, bool]:
    """Whether each leaf field, by its dotted name, is marked as execution."""
    found: dict[str, bool] = {}
    for name, info in type(model).model_fields.items():
        value, extra = getattr(model, name), info.json_schema_extra or {}
        marked = execution or extra == {"strop": "execution"}
        if isinstance(value, BaseModel):
            found |= {f"{name}.{key}": mark for key, mark in _fields(value, marked).items()}
        else:
            found[name] = marked
    return found


def _leaves(values: dict[str, Any]) -> set[str]:
    """Dotted names; an empty table, such as that of more encoders, is a leaf."""
    found = set()
    for key, value in values.items():
        nested = isinstance(value, dict) and value
        found |= {f"{key}.{leaf}" for leaf in _leaves(value)} if nested else {key}
    return found


def test_identity_is_every_field_that_is_not_execution() -> None:
    marks = _fields(Config())
    assert marks["execution.threads"]
    later = {
        "mining": {"verdicts": "0123456789abcdef"},
        "evaluation": {"off_the_shelf": "x", "calibration": "platt"},
    }
    later["first_stage"] = {"index": {"type": "ivf", "lists": 100}}
    later["reranker"] = {"precision": "bf16"}
    later["bi_encoder"] = {"precision": "bf16", "own_prompts": False}
    later["decision"] = {"guard_sets": [{"name": "legal", "dataset": "data"}], "patience": 2}
    data = {"format": "table", "split_by": "time", "time_field": "asked", "test_share": 0.1}
    chunks = {"chunk_words": 100, "chunk_overlap": 20}
    later["data"] = {**data, **chunks, "columns": {"query": "question"}}
    config = Config.model_validate(later)
    identity = {name for name, mark in marks.items() if not mark}
    columns = {"data.columns"}
    assert _leaves(config.identity()) == identity - columns | {"data.columns.query"}
    # Runs without these keep the ids that they had before there were any.
    without = {"mining.verdicts", "evaluation.off_the_shelf", "decision.guard_sets"}
    without |= {"evaluation.calibration", "decision.patience"}
    without |= {"reranker.precision", "bi_encoder.precision", "bi_encoder.own_prompts"}
    without |= {name for name in identity if name.startswith(("data.", "first_stage.index."))}
    assert _leaves(Config().identity()) == identity - without


def test_more_encoders_tell_only_that_their_own_prompts_are_not_used() -> None:
    def said(**values: Any) -> Any:
        config = Config.model_validate({"first_stage": {"more_encoders": {"other": values}}})
        return config.identity()["first_stage"]["more_encoders"]["other"].get("own_prompts")

    assert said() is None
    assert said(own_prompts=False) is False


def test_execution_does_not_change_identity_and_a_seed_does() -> None:
    config = Config.model_validate({"execution": {"threads": 3}})
    assert config.identity() == Config().identity()
    assert Config(seed=2).identity() != Config().identity()


def test_every_field_is_documented() -> None:
    sections = [Config, *(type(getattr(Config(), name)) for name in Config.model_fields)]
    for section in sections:
        if issubclass(section, BaseModel):
            for name, info in section.model_fields.items():
                assert info.description or isinstance(getattr(section(), name), BaseModel), name


def test_the_champion_is_named_after_the_run_unless_named() -> None:
    assert Config(name="docs").champion == "docs"
    named = Config.model_validate({"name": "docs", "decision": {"champion": "live"}})
    assert named.champion == "live"


def test_an_id_of_digits_alone_is_an_id() -> None:
    """As one in some 1,800 is, and YAML reads it as a number."""
    number = 1234567890123456
    config = Config.model_validate(
        {
            "dataset": number,
            "reranker": {"base": number},
            "mining": {"verdicts": number, "teacher": number},
        }
    )
    mining = config.mining
    found = {config.dataset, config.reranker.base, mining.verdicts, mining.teacher}
    assert found == {str(number)}
