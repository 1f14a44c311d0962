import numpy as np
import pyarrow as pa
import pytest

from strop.pipeline.data.query_fields import field_table, require_fields
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.field_slices import NO_VALUE, OTHERS, SHOWN, field_cuts

IDS = [f"q{i}" for i in range(30)]


def cuts(tables, values, asked=None):
    """Names of the slices of every query, by field; ``values`` are by query and field."""
    fields = field_table(values)
    found = field_cuts(IDS, tables.queries(IDS), fields, asked)
    return {by: [names[code] for code in codes] for by, codes, names in found}


def test_categories_keep_their_names_and_queries_without_one_a_slice_of_their_own(tables):
    found = cuts(tables, {"q0": {"language": "de"}, "q1": {"language": "fr"}})
    assert list(found) == ["language"]
    assert found["language"][:3] == ["de", "fr", NO_VALUE]


def test_rare_categories_of_an_asked_field_are_one_slice(tables):
    values = {q: {"source": f"s{min(i, 25)}"} for i, q in enumerate(IDS)}
    assert cuts(tables, values) == {}, "26 values are too many unless asked for"
    names = cuts(tables, values, ["source"])["source"]
    assert names.count("s25") == 5
    assert len(set(names) - {OTHERS}) == SHOWN


def test_numbers_are_cut_into_thirds(tables):
    values = {q: {"year": str(1990 + i)} for i, q in enumerate(IDS)}
    names = cuts(tables, values)["year"]
    assert names[0] == "1990–1999"
    assert names[-1] == "2010–2019"


def test_large_numbers_such_as_dates_are_told_apart(tables):
    values = {q: {"day": str(20260101 + i)} for i, q in enumerate(IDS)}
    names = cuts(tables, values)["day"]
    assert list(dict.fromkeys(names)) == [
        "20260101–20260110",
        "20260111–20260120",
        "20260121–20260130",
    ]


def test_a_field_with_one_value_cuts_nothing(tables):
    assert cuts(tables, {q: {"language": "en"} for q in IDS}) == {}


def test_groups_cut_slices_when_they_are_asked_for(tables):
    queries = tables.queries(IDS)
    column = queries.schema.get_field_index("group_id")
    groups = pa.array(["a"] * 20 + ["b"] * 10, pa.string())
    queries = queries.set_column(column, queries.schema.field(column), groups)
    assert list(field_cuts(IDS, queries, None, None)) == []
    ((by, codes, names),) = field_cuts(IDS, queries, None, ["group_id"])
    assert by == "group_id"
    assert np.bincount(codes).tolist() == [20, 10]
    assert names[0] == "a"


def test_an_unknown_field_is_named_with_those_that_there_are():
    fields = field_table({"q0": {"language": "de"}})
    require_fields(["language", "group_id"], fields)
    with pytest.raises(InputError, match=r"slices: .*'lang', expected one of .*language"):
        require_fields(["lang"], fields)
    with pytest.raises(InputError, match="expected one of group_id, weight"):
        require_fields(["lang"], None)
